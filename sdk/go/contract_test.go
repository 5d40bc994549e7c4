package plugind_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	plugind "github.com/plugind/plugind/sdk/go"
	"github.com/plugind/plugind/sdk/go/internal/sample"
	"github.com/plugind/plugind/sdk/go/plugindtest"
	"github.com/plugind/plugind/sdk/go/pluginv1"
)

type limits struct {
	Max int `json:"max"`
}

type config struct {
	Greeting string `json:"greeting"`
	Limits   limits `json:"limits"`
}

func TestNewSettingsAreInForceUnlessRefused(t *testing.T) {
	p := plugind.New("sample", "1.0.0")
	seen := 0
	p.OnConfigure(func(settings plugind.Settings) error {
		seen++
		chosen := config{Greeting: "Hello"}
		if err := settings.Decode(&chosen); err != nil {
			return err
		}
		if chosen.Greeting == "" {
			return errors.Join(
				plugind.Violation{Field: "greeting", Reason: "is empty"}, errors.New("nobody is greeted"))
		}
		return nil
	})
	host := plugindtest.Start(t, p)
	if len(p.Settings().Map()) != 0 {
		t.Errorf("the first settings are %v", p.Settings().Map())
	}
	good := map[string]any{"greeting": "Hi", "limits": map[string]any{"max": 3.0}}
	if err := host.Configure(good); err != nil {
		t.Fatal(err)
	}
	refusals := []struct {
		settings map[string]any
		says     string
	}{
		{map[string]any{"greeting": ""}, "greeting: is empty\nnobody is greeted"},
		{map[string]any{"limits": map[string]any{"max": "many"}}, "limits.max: is a string and must be a int"},
		{map[string]any{"greting": "Hi"}, "greting: there is no such setting"},
	}
	for _, each := range refusals {
		err := host.Configure(each.settings)
		var violation plugind.Violation
		if !errors.As(err, &violation) || err.Error() != each.says {
			t.Errorf("%v is refused with %v", each.settings, err)
		}
	}
	if !reflect.DeepEqual(p.Settings().Map(), good) {
		t.Errorf("the settings in force are %v", p.Settings().Map())
	}
	if seen != 2+len(refusals) {
		t.Errorf("OnConfigure was called %d times", seen)
	}
}

func TestAgreesOnWhatBothHave(t *testing.T) {
	p := plugind.New("sample", "1.0.0").Provides("sample.echo", "1.4").Provides("sample.echo", "2.1").
		Provides("sample.other").Requires("sample.host", "1.2").
		OnDrain(func(context.Context) error { return nil })
	host := plugindtest.Start(t, p,
		plugindtest.Offer("sample.echo", "1.9", "2.0"), plugindtest.Offer("sample.host", "1.7"))
	for name, want := range map[string]string{
		"sample.echo": "2.0", "sample.other": "", "sample.host": "1.2", "drain": "1.0", "config.reload": "",
	} {
		if version, ok := p.Agreed(name); version != want || ok != (want != "") {
			t.Errorf("%s is agreed at %q (%v)", name, version, ok)
		}
	}
	for _, each := range host.Negotiated().GetCapabilities() {
		if each.GetRequired() != (each.GetName() == "sample.host") {
			t.Errorf("required: %v", each)
		}
	}
}

func TestWithoutHooksItTakesSettingsAndHasNothingToDrain(t *testing.T) {
	p := plugind.New("sample", "1.0.0")
	host := plugindtest.Start(t, p, plugindtest.Settings(map[string]any{"max": 1.0}))
	if p.Settings().Map()["max"] != 1.0 {
		t.Errorf("the settings are %v", p.Settings().Map())
	}
	if err := host.Drain(); status.Code(err) != codes.Unimplemented {
		t.Errorf("Drain ends with %v", err)
	}
}

func TestDrainWaitsForTheHook(t *testing.T) {
	drained := false
	p := plugind.New("sample", "1.0.0").OnDrain(func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the hook does not learn how long the host waits")
		}
		drained = true
		return nil
	})
	if err := plugindtest.Start(t, p).Drain(); err != nil || !drained {
		t.Errorf("%v, %v", err, drained)
	}
}

func TestACallThatCameBeforeTheEndIsAnsweredHoweverLateItBegins(t *testing.T) {
	ending := make(chan struct{})
	p := plugind.New("sample", "1.0.0").OnShutdown(func() { close(ending) })
	sample.Register(p, sample.Handlers{
		"slow": func(_ context.Context, text string) (string, error) {
			time.Sleep(400 * time.Millisecond) // more than connections get to take the goodbye
			return text, nil
		},
		"quick": func(_ context.Context, text string) (string, error) { return text, nil },
	})
	host := plugindtest.Start(t, p)
	// Its message is not there yet, so that it has come and not begun.
	ctx := metadata.AppendToOutgoingContext(t.Context(), "do", "slow")
	slow, err := host.Conn().NewStream(ctx, &grpc.StreamDesc{}, "/"+sample.ServiceDesc.ServiceName+"/Do")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sample.Call(t.Context(), host.Conn(), "quick", ""); err != nil { // behind it on the same connection
		t.Fatal(err)
	}
	p.Stop()
	<-ending
	if err := slow.SendMsg(wrapperspb.String("late")); err != nil {
		t.Fatal(err)
	}
	if err := slow.CloseSend(); err != nil {
		t.Fatal(err)
	}
	answer := &wrapperspb.StringValue{}
	if err := slow.RecvMsg(answer); err != nil || answer.GetValue() != "late" {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestCallsPeersByNameAndGoesOnWithTheTrace(t *testing.T) {
	p := plugind.New("sample", "1.0.0")
	sample.Register(p, sample.Handlers{"ask": func(ctx context.Context, text string) (string, error) {
		return sample.Call(ctx, p.Peer("other"), "answer", text)
	}})
	var came metadata.MD
	other := sample.Handlers{"answer": func(ctx context.Context, text string) (string, error) {
		came, _ = metadata.FromIncomingContext(ctx)
		return text + "!", nil
	}}
	host := plugindtest.Start(t, p, plugindtest.Peer("other", func(server grpc.ServiceRegistrar) {
		server.RegisterService(&sample.ServiceDesc, other)
	}))
	const parent, state = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "one=1"
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", parent, "tracestate", state)
	if answer, err := sample.Call(ctx, host.Conn(), "ask", "well"); err != nil || answer != "well!" {
		t.Fatalf("%q, %v", answer, err)
	}
	if !slices.Equal(came.Get("traceparent"), []string{parent}) || !slices.Equal(came.Get("tracestate"), []string{state}) {
		t.Errorf("the peer was called with %v", came)
	}
	if _, err := sample.Call(t.Context(), p.Peer("stranger"), "answer", ""); status.Code(err) != codes.Unavailable {
		t.Errorf("somebody else's service under another name: %v", err)
	}
}

func TestWithoutAHostPeersAreUnavailableAndAStatusDoesNoHarm(t *testing.T) {
	t.Setenv("PLUGIND_HOST_ADDRESS", "")
	p := plugind.New("sample", "1.0.0")
	_, err := sample.Call(t.Context(), p.Peer("other"), "answer", "")
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "PLUGIND_HOST_ADDRESS") {
		t.Error(err)
	}
	if err := p.SetStatus(t.Context(), "alone"); err != nil {
		t.Error(err)
	}
	if _, err := p.Identity(t.Context()); status.Code(err) != codes.Unavailable {
		t.Errorf("Identity ends with %v", err)
	}
	if _, err := p.Peers(t.Context()); status.Code(err) != codes.Unavailable {
		t.Errorf("Peers ends with %v", err)
	}
}

func TestTheHostSaysWhoThePluginIsAndWhomItMayCall(t *testing.T) {
	p := plugind.New("sample", "1.0.0").ProtocolVersion(3).Requires("sample.host", "1.2")
	plugindtest.Start(t, p, plugindtest.Offer("sample.host", "1.7"),
		plugindtest.Peer("other", func(server grpc.ServiceRegistrar) {
			server.RegisterService(&sample.ServiceDesc, sample.Handlers{})
		}))
	identity, err := p.Identity(t.Context())
	if err != nil || identity.Name != "sample" || identity.Instance == "" || identity.ProtocolVersion != 3 ||
		identity.Capabilities["sample.host"] != "1.2" || identity.Host != "plugindtest" || identity.HostVersion == "" {
		t.Errorf("%+v, %v", identity, err)
	}
	want := []plugind.Peer{{
		Name: "other", State: "READY", Services: []string{sample.ServiceDesc.ServiceName}, Methods: []string{"*"},
	}}
	if peers, err := p.Peers(t.Context()); err != nil || !reflect.DeepEqual(peers, want) {
		t.Errorf("%+v, %v", peers, err)
	}
}

func TestTheHostShowsTheStatus(t *testing.T) {
	p := plugind.New("sample", "1.0.0")
	host := plugindtest.Start(t, p)
	if err := p.SetStatus(t.Context(), "replaying"); err != nil || host.Status() != "replaying" {
		t.Errorf("%v, %q", err, host.Status())
	}
	if err := p.SetStatus(t.Context(), strings.Repeat("x", 1025)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("too long a status: %v", err)
	}
}

func TestANewerHostsFieldsAreIgnored(t *testing.T) {
	p := plugind.New("sample", "1.0.0")
	host := plugindtest.Start(t, p)
	request := &pluginv1.ConfigureRequest{}
	request.ProtoReflect().SetUnknown([]byte{0xfa, 0x7f, 0x03, 'n', 'e', 'w'}) // field 2047
	if _, err := pluginv1.NewPluginClient(host.Conn()).Configure(t.Context(), request); err != nil {
		t.Error(err)
	}
}

func TestALogRecordIsALineOfJSONAsHostsReadIt(t *testing.T) {
	var out strings.Builder
	logger := slog.New(plugind.NewLogHandler(&out, plugind.LevelTrace))
	logger.With("level", "of water").Log(t.Context(), plugind.LevelTrace, "two\nlines", "msg", "mine", "n", 7)
	var line map[string]any
	if err := json.Unmarshal([]byte(out.String()), &line); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("%v: %q", err, out.String())
	}
	stamp, _ := line["@timestamp"].(string)
	if len(stamp) != len("2006-01-02T15:04:05.000000Z") {
		t.Errorf("the time is %q", stamp)
	}
	delete(line, "@timestamp")
	want := map[string]any{"@level": "trace", "@message": "two\nlines", "level": "of water", "msg": "mine", "n": 7.0}
	if !reflect.DeepEqual(line, want) {
		t.Errorf("it says %v", line)
	}
}
