package reflection

import "google.golang.org/protobuf/encoding/protowire"

// field is one of a message; value is that of an integer, bytes are those of anything that has a length.
type field struct {
	number protowire.Number
	value  uint64
	bytes  []byte
}

// fields are those of a message, up to the first that is none.
func fields(message []byte) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for len(message) > 0 {
			number, kind, tag := protowire.ConsumeTag(message)
			size := protowire.ConsumeFieldValue(number, kind, message[max(tag, 0):])
			if tag < 0 || size < 0 {
				return
			}
			each := field{number: number}
			switch kind {
			case protowire.VarintType:
				each.value, _ = protowire.ConsumeVarint(message[tag:])
			case protowire.BytesType:
				each.bytes, _ = protowire.ConsumeBytes(message[tag:])
			}
			if !yield(each) {
				return
			}
			message = message[tag+size:]
		}
	}
}

// first is the first value of a string in a message.
func first(message []byte, number protowire.Number) string {
	for each := range fields(message) {
		if each.number == number {
			return string(each.bytes)
		}
	}
	return ""
}

// appendText appends a string, and nothing for "".
func appendText(b []byte, number protowire.Number, text string) []byte {
	if text == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), text)
}

func appendBytes(b []byte, number protowire.Number, bytes []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), bytes)
}

func appendNumber(b []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), value)
}
