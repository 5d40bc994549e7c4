// Package reflection serves grpc.reflection.v1 and v1alpha, whose messages are the same on the wire.
//
// gRPC's own does so too, with protobuf's protodesc and the generated code of descriptor.proto: a mebibyte of each plugin's
// memory, taken at its start, for something that is asked seldom. This one needs neither. It takes the descriptors from
// protobuf's registry when somebody asks for them, and writes them itself.
package reflection

import (
	"errors"
	"io"
	"maps"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Register adds both versions to the server; they tell of all services that it has when they are asked.
func Register(server *grpc.Server) {
	handle := func(_ any, stream grpc.ServerStream) error { return serve(stream, server) }
	for _, version := range []string{"v1", "v1alpha"} {
		server.RegisterService(&grpc.ServiceDesc{
			ServiceName: "grpc.reflection." + version + ".ServerReflection",
			HandlerType: (*any)(nil),
			Streams: []grpc.StreamDesc{{
				StreamName: "ServerReflectionInfo", Handler: handle, ServerStreams: true, ClientStreams: true,
			}},
			Metadata: "grpc/reflection/" + version + "/reflection.proto",
		}, nil)
	}
}

// The fields of ServerReflectionRequest, but for the host's name.
const (
	fileByName          = 3
	fileContaining      = 4
	fileExtending       = 5
	allExtensionNumbers = 6
	listServices        = 7
)

// serve answers one stream. Its messages go through google.protobuf.Empty, which keeps what it does not know: all of it.
func serve(stream grpc.ServerStream, server *grpc.Server) error {
	sent := map[string]bool{} // files that this stream has had
	for {
		request := &emptypb.Empty{}
		if err := stream.RecvMsg(request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		raw := request.ProtoReflect().GetUnknown()
		said, err := answer(raw, server, sent)
		if err != nil {
			return err
		}
		response := &emptypb.Empty{}
		response.ProtoReflect().SetUnknown(append(appendBytes(nil, 2, raw), said...))
		if err := stream.SendMsg(response); err != nil {
			return err
		}
	}
}

func answer(request []byte, server *grpc.Server, sent map[string]bool) ([]byte, error) {
	var asked field
	for each := range fields(request) {
		if each.number >= fileByName && each.number <= listServices {
			asked = each // of a oneof the last one holds
		}
	}
	files := func(path string, err error) []byte {
		if err != nil {
			return notFound(err)
		}
		var list []byte
		for _, file := range withImports(path, sent) {
			list = appendBytes(list, 1, file)
		}
		if list == nil {
			return notFound(protoregistry.NotFound)
		}
		return appendBytes(nil, 4, list)
	}
	switch name := string(asked.bytes); asked.number {
	case fileByName:
		return files(name, nil), nil
	case fileContaining:
		return files(pathOf(protoreflect.FullName(name))), nil
	case fileExtending:
		return files(pathOfExtension(asked.bytes)), nil
	case allExtensionNumbers:
		return extensionNumbers(protoreflect.FullName(name)), nil
	case listServices:
		var list []byte
		for _, service := range slices.Sorted(maps.Keys(server.GetServiceInfo())) {
			list = appendBytes(list, 1, appendText(nil, 1, service))
		}
		return appendBytes(nil, 6, list), nil
	}
	return nil, status.Error(codes.InvalidArgument, "a question of reflection that is not known here")
}

func notFound(err error) []byte {
	return appendBytes(nil, 7, appendText(appendNumber(nil, 1, uint64(codes.NotFound)), 2, err.Error()))
}

// pathOfExtension is of the file with the extension of an ExtensionRequest.
func pathOfExtension(request []byte) (string, error) {
	var extended protoreflect.FullName
	var number protoreflect.FieldNumber
	for each := range fields(request) {
		switch each.number {
		case 1:
			extended = protoreflect.FullName(each.bytes)
		case 2:
			number = protoreflect.FieldNumber(each.value)
		}
	}
	found, err := protoregistry.GlobalTypes.FindExtensionByNumber(extended, number)
	if err != nil {
		return "", err
	}
	return found.TypeDescriptor().ParentFile().Path(), nil
}

func extensionNumbers(extended protoreflect.FullName) []byte {
	if _, err := pathOf(extended); err != nil {
		return notFound(err)
	}
	var numbers []uint64
	protoregistry.GlobalTypes.RangeExtensionsByMessage(extended, func(found protoreflect.ExtensionType) bool {
		numbers = append(numbers, uint64(found.TypeDescriptor().Number()))
		return true
	})
	slices.Sort(numbers)
	list := appendText(nil, 1, string(extended))
	for _, number := range numbers {
		list = appendNumber(list, 2, number)
	}
	return appendBytes(nil, 5, list)
}

// withImports are the file and, as far as the stream has not had them yet, all files that it needs; nil if it is not known.
func withImports(path string, sent map[string]bool) [][]byte {
	var files [][]byte
	for queue := []string{path}; len(queue) > 0; queue = queue[1:] {
		if sent[queue[0]] && len(files) > 0 {
			continue
		}
		file, imports := load(queue[0])
		if file == nil {
			continue
		}
		sent[queue[0]] = true
		files = append(files, file)
		queue = append(queue, imports...)
	}
	return files
}

// load is a file as a FileDescriptorProto, with the paths of its imports.
func load(path string) (file []byte, imports []string) {
	if file, found := own().files[path]; found {
		for each := range fields(file) {
			if each.number == 3 {
				imports = append(imports, string(each.bytes))
			}
		}
		return file, imports
	}
	descriptor, err := protoregistry.GlobalFiles.FindFileByPath(path)
	if err != nil {
		return nil, nil
	}
	for i := range descriptor.Imports().Len() {
		imports = append(imports, descriptor.Imports().Get(i).Path())
	}
	return describe(descriptor, optionsAreKnown()), imports
}

// pathOf is of the file that has the symbol.
func pathOf(symbol protoreflect.FullName) (string, error) {
	if path, found := own().symbols[string(symbol)]; found {
		return path, nil
	}
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(symbol)
	if err != nil {
		return "", err
	}
	return found.ParentFile().Path(), nil
}
