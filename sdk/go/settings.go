package plugind

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/plugind/plugind/sdk/go/pluginv1"
)

// Settings are a plugin's own: the [config] table of its file under plugind. They never change; new ones are another
// value. Numbers are float64, dates RFC 3339 strings. The zero value is an empty table.
type Settings struct {
	table *structpb.Struct
}

// Map is the table as Go values: map[string]any, []any, string, float64, bool and nil.
func (s Settings) Map() map[string]any {
	return s.table.AsMap()
}

// MarshalJSON is the table as a JSON object.
func (s Settings) MarshalJSON() ([]byte, error) {
	return json.Marshal(s.Map())
}

// Decode puts the settings into a struct, as encoding/json does with its tags; what the struct held stays for settings
// that are not there, which is how defaults are given. A setting of another type than its field, and one that the struct
// has no field for, is a Violation that names it.
func (s Settings) Decode(into any) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(into)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return Violation{mismatch.Field, fmt.Sprintf("is a %s and must be a %s", mismatch.Value, mismatch.Type)}
	}
	if err != nil {
		// encoding/json has no type for this error.
		if name, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
			return Violation{strings.Trim(name, `"`), "there is no such setting"}
		}
	}
	return err
}

// Violation says what is wrong with one setting. OnConfigure returns it, or several by errors.Join, to refuse the
// settings.
type Violation struct {
	// Field is the setting as a path from the table's top: "limits.max", "servers[2].port". Empty: the settings as a whole.
	Field string
	// Reason is for the person who wrote the setting.
	Reason string
}

// Error is "FIELD: REASON".
func (v Violation) Error() string {
	if v.Field == "" {
		return v.Reason
	}
	return v.Field + ": " + v.Reason
}

// violations are all that are joined in err, of which one that is no Violation becomes one without a field.
func violations(err error) []*pluginv1.Violation {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*pluginv1.Violation
		for _, each := range joined.Unwrap() {
			all = append(all, violations(each)...)
		}
		return all
	}
	var violation Violation
	if !errors.As(err, &violation) {
		violation = Violation{Reason: err.Error()}
	}
	return []*pluginv1.Violation{{Field: violation.Field, Reason: violation.Reason}}
}
