package reflection

import (
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// optionsAreKnown says whether the program has the messages of options. It has wherever a file has options of somebody's
// own making: the code that is generated for those needs them.
func optionsAreKnown() bool {
	_, err := protoregistry.GlobalTypes.FindMessageByName("google.protobuf.FileOptions")
	return err == nil
}

// describe is the file as a FileDescriptorProto; the numbers here and below are those of descriptor.proto. Without options,
// only those are in it that change how messages are written and read, which protobuf has turned into properties of the
// descriptors.
func describe(file protoreflect.FileDescriptor, options bool) []byte {
	syntax := file.Syntax()
	w := writer{options: options, editions: syntax == protoreflect.Editions, packs: syntax != protoreflect.Proto2}
	b := appendText(nil, 1, file.Path())
	b = appendText(b, 2, string(file.Package()))
	for i := range file.Imports().Len() {
		b = appendText(b, 3, file.Imports().Get(i).Path())
	}
	for i := range file.Imports().Len() {
		if file.Imports().Get(i).IsPublic {
			b = appendNumber(b, 10, uint64(i))
		}
	}
	b = appendEach(b, 4, file.Messages(), w.message)
	b = appendEach(b, 5, file.Enums(), w.enum)
	b = appendEach(b, 6, file.Services(), w.service)
	b = appendEach(b, 7, file.Extensions(), w.field)
	b = w.appendOptions(b, 8, file, nil)
	if syntax != protoreflect.Proto2 {
		b = appendText(b, 12, syntax.String())
	}
	if edition, known := file.(interface{ Edition() int32 }); w.editions && known {
		b = appendNumber(b, 14, uint64(edition.Edition()))
	}
	return b
}

type writer struct {
	options  bool // see describe
	editions bool // fields and enums have features
	packs    bool // repeated numbers are packed where nothing else is said
}

func (w writer) message(message protoreflect.MessageDescriptor) []byte {
	b := appendText(nil, 1, string(message.Name()))
	b = appendEach(b, 2, message.Fields(), w.field)
	b = appendEach(b, 3, message.Messages(), w.message)
	b = appendEach(b, 4, message.Enums(), w.enum)
	for i := range message.ExtensionRanges().Len() {
		limits := message.ExtensionRanges().Get(i)
		part := appendRange(nil, int32(limits[0]), int32(limits[1]))
		if w.options {
			part = appendMessage(part, 3, message.ExtensionRangeOptions(i))
		}
		b = appendBytes(b, 5, part)
	}
	b = appendEach(b, 6, message.Extensions(), w.field)
	var options []byte
	if message.IsMapEntry() {
		options = appendNumber(nil, 7, 1)
	}
	b = w.appendOptions(b, 7, message, options)
	b = appendEach(b, 8, message.Oneofs(), func(oneof protoreflect.OneofDescriptor) []byte {
		return w.appendOptions(appendText(nil, 1, string(oneof.Name())), 2, oneof, nil)
	})
	for i := range message.ReservedRanges().Len() {
		limits := message.ReservedRanges().Get(i)
		b = appendBytes(b, 9, appendRange(nil, int32(limits[0]), int32(limits[1])))
	}
	for i := range message.ReservedNames().Len() {
		b = appendText(b, 10, string(message.ReservedNames().Get(i)))
	}
	return b
}

func (w writer) field(field protoreflect.FieldDescriptor) []byte {
	label, kind := field.Cardinality(), field.Kind()
	if w.editions { // where both are features
		if label == protoreflect.Required {
			label = protoreflect.Optional
		}
		if kind == protoreflect.GroupKind {
			kind = protoreflect.MessageKind
		}
	}
	b := appendText(nil, 1, string(field.Name()))
	if field.IsExtension() {
		b = appendText(b, 2, absolute(field.ContainingMessage()))
	}
	b = appendNumber(b, 3, uint64(field.Number()))
	b = appendNumber(b, 4, uint64(label))
	b = appendNumber(b, 5, uint64(kind))
	if field.Message() != nil {
		b = appendText(b, 6, absolute(field.Message()))
	} else if field.Enum() != nil {
		b = appendText(b, 6, absolute(field.Enum()))
	}
	if field.HasDefault() {
		b = appendBytes(b, 7, defaultValue(field))
	}
	b = w.appendOptions(b, 8, field, w.fieldOptions(field))
	if oneof := field.ContainingOneof(); oneof != nil {
		b = appendNumber(b, 9, uint64(oneof.Index()))
	}
	if field.HasJSONName() && !field.IsExtension() {
		b = appendText(b, 10, field.JSONName())
	}
	if !w.editions && w.packs && field.HasOptionalKeyword() {
		b = appendNumber(b, 17, 1)
	}
	return b
}

// fieldOptions are those that say what is not usual for the file's syntax.
func (w writer) fieldOptions(field protoreflect.FieldDescriptor) []byte {
	repeated, kind := field.Cardinality() == protoreflect.Repeated, field.Kind()
	packable := field.IsList() && kind != protoreflect.StringKind && kind != protoreflect.BytesKind &&
		kind != protoreflect.MessageKind && kind != protoreflect.GroupKind
	if !w.editions {
		if packable && field.IsPacked() != w.packs {
			return appendNumber(nil, 2, protowire.EncodeBool(field.IsPacked()))
		}
		return nil
	}
	var features []byte
	const implicit, legacyRequired, expanded, delimited = 2, 3, 2, 2
	switch {
	case field.Cardinality() == protoreflect.Required:
		features = appendNumber(features, 1, legacyRequired)
	case !repeated && !field.IsExtension() && !field.HasPresence():
		features = appendNumber(features, 1, implicit)
	}
	if packable && !field.IsPacked() {
		features = appendNumber(features, 3, expanded)
	}
	if kind == protoreflect.GroupKind {
		features = appendNumber(features, 5, delimited)
	}
	if features == nil {
		return nil
	}
	return appendBytes(nil, 21, features)
}

func (w writer) enum(enum protoreflect.EnumDescriptor) []byte {
	b := appendText(nil, 1, string(enum.Name()))
	b = appendEach(b, 2, enum.Values(), func(value protoreflect.EnumValueDescriptor) []byte {
		part := appendNumber(appendText(nil, 1, string(value.Name())), 2, uint64(value.Number()))
		return w.appendOptions(part, 3, value, nil)
	})
	var options []byte
	for i := range enum.Values().Len() {
		if value := enum.Values().Get(i); enum.Values().ByNumber(value.Number()).Name() != value.Name() {
			options = appendNumber(nil, 2, 1) // allow_alias
		}
	}
	if w.editions && enum.IsClosed() {
		const closed = 2
		options = appendBytes(options, 7, appendNumber(nil, 2, closed))
	}
	b = w.appendOptions(b, 3, enum, options)
	for i := range enum.ReservedRanges().Len() {
		limits := enum.ReservedRanges().Get(i)
		b = appendBytes(b, 4, appendRange(nil, int32(limits[0]), int32(limits[1])))
	}
	for i := range enum.ReservedNames().Len() {
		b = appendText(b, 5, string(enum.ReservedNames().Get(i)))
	}
	return b
}

func (w writer) service(service protoreflect.ServiceDescriptor) []byte {
	b := appendText(nil, 1, string(service.Name()))
	b = appendEach(b, 2, service.Methods(), func(method protoreflect.MethodDescriptor) []byte {
		part := appendText(nil, 1, string(method.Name()))
		part = appendText(part, 2, absolute(method.Input()))
		part = appendText(part, 3, absolute(method.Output()))
		part = w.appendOptions(part, 4, method, nil)
		if method.IsStreamingClient() {
			part = appendNumber(part, 5, 1)
		}
		if method.IsStreamingServer() {
			part = appendNumber(part, 6, 1)
		}
		return part
	})
	return w.appendOptions(b, 3, service, nil)
}

// appendOptions appends those of the descriptor, or, where they are not known, what is known of them.
func (w writer) appendOptions(b []byte, number protowire.Number, of protoreflect.Descriptor, known []byte) []byte {
	if w.options {
		return appendMessage(b, number, of.Options())
	}
	if known == nil {
		return b
	}
	return appendBytes(b, number, known)
}

func absolute(descriptor protoreflect.Descriptor) string { return "." + string(descriptor.FullName()) }

// defaultValue is as protoc writes it.
func defaultValue(field protoreflect.FieldDescriptor) []byte {
	value := field.Default()
	switch field.Kind() {
	case protoreflect.EnumKind:
		return []byte(field.DefaultEnumValue().Name())
	case protoreflect.BytesKind:
		return escaped(value.Bytes())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		bits := 64
		if field.Kind() == protoreflect.FloatKind {
			bits = 32
		}
		switch number := value.Float(); {
		case math.IsInf(number, 1):
			return []byte("inf")
		case math.IsInf(number, -1):
			return []byte("-inf")
		case math.IsNaN(number):
			return []byte("nan")
		default:
			return strconv.AppendFloat(nil, number, 'g', -1, bits)
		}
	}
	return []byte(value.String())
}

// escaped is as in C.
func escaped(value []byte) []byte {
	var b []byte
	short := map[byte]byte{'\n': 'n', '\r': 'r', '\t': 't', '"': '"', '\'': '\'', '\\': '\\'}
	for _, each := range value {
		if letter, found := short[each]; found {
			b = append(b, '\\', letter)
		} else if each < ' ' || each > '~' {
			b = fmt.Appendf(b, `\%03o`, each)
		} else {
			b = append(b, each)
		}
	}
	return b
}

// appendRange appends what all ranges of descriptors begin with.
func appendRange(b []byte, start, end int32) []byte {
	return appendNumber(appendNumber(b, 1, uint64(start)), 2, uint64(end))
}

// appendMessage appends one, and nothing for nil.
func appendMessage(b []byte, number protowire.Number, message proto.Message) []byte {
	if !message.ProtoReflect().IsValid() {
		return b
	}
	raw, err := proto.MarshalOptions{AllowPartial: true}.Marshal(message)
	if err != nil {
		return b // options that were read by the same code
	}
	return appendBytes(b, number, raw)
}

func appendEach[D any](b []byte, number protowire.Number, list interface {
	Len() int
	Get(int) D
}, write func(D) []byte) []byte {
	for i := range list.Len() {
		b = appendBytes(b, number, write(list.Get(i)))
	}
	return b
}
