package plugind

import (
	"context"
	"io"
	"log/slog"
	"os"
)

// LevelTrace is below slog.LevelDebug: the lowest that hosts know.
const LevelTrace = slog.LevelDebug - 4

var (
	initialLogger = slog.Default()
	ownLogger     = slog.New(NewLogHandler(os.Stderr, LevelTrace))
)

// Log writes one line of the host's log, with a level and, as in log/slog, keys and values. Programs that use log/slog
// need no more than that: see Run.
func (p *Plugin) Log(level slog.Level, message string, fields ...any) {
	ownLogger.Log(context.Background(), level, message, fields...)
}

// NewLogHandler is for programs with a logger of their own: each record is one line of JSON with @level, @message and
// @timestamp, which plugind and go-plugin's hosts read as such, and everything else as fields.
func NewLogHandler(to io.Writer, lowest slog.Leveler) slog.Handler {
	return &logHandler{slog.NewJSONHandler(to, &slog.HandlerOptions{Level: lowest, ReplaceAttr: renameBuiltIn})}
}

// logHandler keeps keys of the author's apart from slog's own.
type logHandler struct {
	slog.Handler
}

func (h *logHandler) Handle(ctx context.Context, record slog.Record) error {
	marked := slog.NewRecord(record.Time, record.Level, record.Message, record.PC)
	record.Attrs(func(attr slog.Attr) bool {
		marked.AddAttrs(mark(attr))
		return true
	})
	return h.Handler.Handle(ctx, marked)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	marked := make([]slog.Attr, 0, len(attrs))
	for _, attr := range attrs {
		marked = append(marked, mark(attr))
	}
	return &logHandler{h.Handler.WithAttrs(marked)}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.Handler.WithGroup(name)}
}

// mark makes a key of the author's another than slog's own until renameBuiltIn has seen it.
func mark(attr slog.Attr) slog.Attr {
	switch attr.Key {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey:
		attr.Key = marker + attr.Key
	}
	return attr
}

const marker = "\x00"

func renameBuiltIn(groups []string, attr slog.Attr) slog.Attr {
	if len(attr.Key) > 0 && attr.Key[:1] == marker {
		attr.Key = attr.Key[1:]
		return attr
	}
	if len(groups) > 0 {
		return attr
	}
	switch attr.Key {
	case slog.TimeKey:
		return slog.String("@timestamp", attr.Value.Time().UTC().Format("2006-01-02T15:04:05.000000Z07:00"))
	case slog.LevelKey:
		level, _ := attr.Value.Any().(slog.Level)
		return slog.String("@level", levelName(level))
	case slog.MessageKey:
		attr.Key = "@message"
	}
	return attr
}

func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelDebug:
		return "trace"
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warn"
	default:
		return "error"
	}
}
