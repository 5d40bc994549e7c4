package reflection

import (
	_ "embed"
	"sync"
)

// The files of services that are served without generated code: go-plugin's, and reflection itself. Being no part of
// protobuf's registry they cannot collide with those of a program that links go-plugin too.
//
//go:embed own.binpb
var descriptors []byte

type ownFiles struct {
	files   map[string][]byte // by path, each a FileDescriptorProto
	symbols map[string]string // the path by the full name of a message, service or method
}

// own is read when somebody first asks.
var own = sync.OnceValue(func() ownFiles {
	all := ownFiles{map[string][]byte{}, map[string]string{}}
	for file := range fields(descriptors) {
		path, scope := first(file.bytes, 1), first(file.bytes, 2)
		all.files[path] = file.bytes
		for each := range fields(file.bytes) {
			switch each.number {
			case 4:
				all.message(path, scope, each.bytes)
			case 6:
				service := scope + "." + first(each.bytes, 1)
				all.symbols[service] = path
				for method := range fields(each.bytes) {
					if method.number == 2 {
						all.symbols[service+"."+first(method.bytes, 1)] = path
					}
				}
			}
		}
	}
	return all
})

func (o ownFiles) message(path, scope string, message []byte) {
	name := scope + "." + first(message, 1)
	o.symbols[name] = path
	for nested := range fields(message) {
		if nested.number == 3 {
			o.message(path, name, nested.bytes)
		}
	}
}
