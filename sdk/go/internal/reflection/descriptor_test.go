package reflection

import (
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "google.golang.org/grpc/health/grpc_health_v1"
	_ "google.golang.org/protobuf/types/gofeaturespb"
	_ "google.golang.org/protobuf/types/known/apipb"
	_ "google.golang.org/protobuf/types/known/structpb"
)

// Files with what generated code seldom has.
var odd = map[string]string{
	"proto2": `
name: "odd2.proto" package: "odd" public_dependency: 0 dependency: "google/protobuf/struct.proto"
dependency: "google/protobuf/descriptor.proto"
message_type {
  name: "M"
  field { name: "text" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING default_value: "a\"\n\303\244" json_name: "TEXT" }
  field { name: "empty" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING default_value: "" json_name: "empty" }
  field { name: "raw" number: 3 label: LABEL_OPTIONAL type: TYPE_BYTES default_value: "\\001a\\'\\\"\\\\\\n\\377" json_name: "raw" }
  field { name: "huge" number: 4 label: LABEL_OPTIONAL type: TYPE_DOUBLE default_value: "inf" json_name: "huge" }
  field { name: "low" number: 5 label: LABEL_OPTIONAL type: TYPE_FLOAT default_value: "-inf" json_name: "low" }
  field { name: "no" number: 6 label: LABEL_OPTIONAL type: TYPE_FLOAT default_value: "nan" json_name: "no" }
  field { name: "third" number: 7 label: LABEL_OPTIONAL type: TYPE_FLOAT default_value: "0.33333334" json_name: "third" }
  field { name: "small" number: 8 label: LABEL_OPTIONAL type: TYPE_SINT64 default_value: "-9" json_name: "small" }
  field { name: "big" number: 9 label: LABEL_OPTIONAL type: TYPE_FIXED64 default_value: "18446744073709551615" json_name: "big" }
  field { name: "yes" number: 10 label: LABEL_OPTIONAL type: TYPE_BOOL default_value: "true" json_name: "yes" }
  field { name: "color" number: 11 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".odd.Color" default_value: "ROUGE" json_name: "color" }
  field { name: "must" number: 12 label: LABEL_REQUIRED type: TYPE_INT32 json_name: "must" }
  field { name: "packed" number: 13 label: LABEL_REPEATED type: TYPE_INT32 options { packed: true } json_name: "packed" }
  field { name: "loose" number: 14 label: LABEL_REPEATED type: TYPE_INT32 json_name: "loose" }
  field { name: "group" number: 15 label: LABEL_OPTIONAL type: TYPE_GROUP type_name: ".odd.M.Group" json_name: "group" }
  field { name: "one" number: 16 label: LABEL_OPTIONAL type: TYPE_INT32 oneof_index: 0 json_name: "one" }
  field { name: "counts" number: 17 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".odd.M.CountsEntry" json_name: "counts" }
  field { name: "table" number: 18 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".google.protobuf.Struct" json_name: "table" }
  nested_type { name: "Group" field { name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "a" } }
  nested_type { name: "CountsEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "key" }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "value" } }
  enum_type { name: "Nested" value { name: "ZERO" number: 0 } }
  extension { name: "inner" extendee: ".odd.M" number: 101 label: LABEL_OPTIONAL type: TYPE_STRING }
  extension_range { start: 100 end: 200 } extension_range { start: 300 end: 536870912 }
  oneof_decl { name: "either" }
  reserved_range { start: 50 end: 60 } reserved_name: "old"
}
enum_type { name: "Color" options { allow_alias: true }
  value { name: "RED" number: 1 } value { name: "ROUGE" number: 1 } value { name: "NONE" number: -1 options { deprecated: true } }
  reserved_range { start: -9 end: -5 } reserved_name: "PINK" }
extension { name: "outer" extendee: ".odd.M" number: 100 label: LABEL_REPEATED type: TYPE_FIXED32 options { packed: true } }
service { name: "S" options { deprecated: true }
  method { name: "Both" input_type: ".odd.M" output_type: ".odd.M" client_streaming: true server_streaming: true }
  method { name: "Get" input_type: ".odd.M" output_type: ".odd.M" options { idempotency_level: NO_SIDE_EFFECTS } } }
`,
	"proto3": `
name: "odd3.proto" package: "odd3" syntax: "proto3"
message_type {
  name: "M"
  field { name: "loose" number: 1 label: LABEL_REPEATED type: TYPE_INT32 options { packed: false } json_name: "loose" }
  field { name: "packed" number: 2 label: LABEL_REPEATED type: TYPE_ENUM type_name: ".odd3.E" json_name: "packed" }
  field { name: "maybe" number: 3 label: LABEL_OPTIONAL type: TYPE_BOOL oneof_index: 0 proto3_optional: true json_name: "maybe" }
  field { name: "plain" number: 4 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "plain" }
  oneof_decl { name: "_maybe" }
}
enum_type { name: "E" value { name: "ZERO" number: 0 } }
`,
	"editions": `
name: "odd2023.proto" package: "odd2023" syntax: "editions" edition: EDITION_2023
message_type {
  name: "M"
  field { name: "maybe" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "maybe" }
  field { name: "plain" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 options { features { field_presence: IMPLICIT } } json_name: "plain" }
  field { name: "must" number: 3 label: LABEL_OPTIONAL type: TYPE_INT32 options { features { field_presence: LEGACY_REQUIRED } } json_name: "must" }
  field { name: "loose" number: 4 label: LABEL_REPEATED type: TYPE_INT32 options { features { repeated_field_encoding: EXPANDED } } json_name: "loose" }
  field { name: "packed" number: 5 label: LABEL_REPEATED type: TYPE_INT32 json_name: "packed" }
  field { name: "inner" number: 6 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".odd2023.M" options { features { message_encoding: DELIMITED } } json_name: "inner" }
  field { name: "closed" number: 7 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".odd2023.E" json_name: "closed" }
  field { name: "one" number: 8 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 json_name: "one" }
  oneof_decl { name: "either" }
}
enum_type { name: "E" options { features { enum_type: CLOSED } } value { name: "ONE" number: 1 } }
`,
}

func files(t *testing.T) []protoreflect.FileDescriptor {
	var all []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		all = append(all, file)
		return true
	})
	if len(all) < 8 {
		t.Errorf("only %d files are registered", len(all))
	}
	for syntax, text := range odd {
		var parsed descriptorpb.FileDescriptorProto
		if err := prototext.Unmarshal([]byte(text), &parsed); err != nil {
			t.Fatalf("%s: %v", syntax, err)
		}
		file, err := protodesc.NewFile(&parsed, protoregistry.GlobalFiles)
		if err != nil {
			t.Fatalf("%s: %v", syntax, err)
		}
		all = append(all, file)
	}
	return all
}

func described(t *testing.T, file protoreflect.FileDescriptor, options bool) *descriptorpb.FileDescriptorProto {
	var got descriptorpb.FileDescriptorProto
	if err := proto.Unmarshal(describe(file, options), &got); err != nil {
		t.Fatalf("%s: %v", file.Path(), err)
	}
	return &got
}

func TestAFileIsDescribedAsProtobufDescribesIt(t *testing.T) {
	for _, file := range files(t) {
		want := protodesc.ToFileDescriptorProto(file)
		for _, extension := range want.GetExtension() {
			extension.JsonName = nil // has no meaning
		}
		if got := described(t, file, true); !proto.Equal(got, want) {
			t.Errorf("%s is\n%s\nnot\n%s", file.Path(), prototext.Format(got), prototext.Format(want))
		}
	}
}

// What a client makes of it has to be the same, whether or not the program knows the messages of options.
func TestWithoutOptionsMessagesAreWrittenAndReadAsEver(t *testing.T) {
	for _, file := range files(t) {
		made, err := protodesc.FileOptions{AllowUnresolvable: true}.New(described(t, file, false), protoregistry.GlobalFiles)
		if err != nil {
			t.Errorf("%s: %v", file.Path(), err)
			continue
		}
		sameMessages(t, made.Messages(), file.Messages())
		sameFields(t, made.Extensions(), file.Extensions())
		for i := range file.Enums().Len() {
			if made, enum := made.Enums().Get(i), file.Enums().Get(i); made.IsClosed() != enum.IsClosed() {
				t.Errorf("%s is closed: %v", enum.FullName(), made.IsClosed())
			}
		}
	}
}

func sameMessages(t *testing.T, made, want protoreflect.MessageDescriptors) {
	for i := range want.Len() {
		if made.Get(i).IsMapEntry() != want.Get(i).IsMapEntry() {
			t.Errorf("%s is the entry of a map: %v", want.Get(i).FullName(), made.Get(i).IsMapEntry())
		}
		sameMessages(t, made.Get(i).Messages(), want.Get(i).Messages())
		sameFields(t, made.Get(i).Fields(), want.Get(i).Fields())
		sameFields(t, made.Get(i).Extensions(), want.Get(i).Extensions())
	}
}

func sameFields(t *testing.T, made, want interface {
	Len() int
	Get(int) protoreflect.FieldDescriptor
}) {
	type nature struct {
		kind                            protoreflect.Kind
		cardinality                     protoreflect.Cardinality
		packed, presence, list, isMap   bool
		optional, hasDefault, hasOneof  bool
		json, defaultText, containingIn string
	}
	of := func(field protoreflect.FieldDescriptor) nature {
		return nature{
			field.Kind(), field.Cardinality(), field.IsPacked(), field.HasPresence(), field.IsList(), field.IsMap(),
			field.HasOptionalKeyword(), field.HasDefault(), field.ContainingOneof() != nil, field.JSONName(),
			field.Default().String(), string(field.ContainingMessage().FullName()),
		}
	}
	if made.Len() != want.Len() {
		t.Fatalf("%d fields, not %d", made.Len(), want.Len())
	}
	for i := range want.Len() {
		if made, want := of(made.Get(i)), of(want.Get(i)); made != want {
			t.Errorf("a field is %+v, not %+v", made, want)
		}
	}
}
