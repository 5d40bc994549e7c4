// Package goplugin serves what a host built on hashicorp/go-plugin expects of its plugins: GRPCController, GRPCStdio, and
// GRPCBroker as far as that nothing in the host blocks.
//
// Their messages are not in protobuf's global registry: a program that links go-plugin too has them there already, and
// would end with a panic at its start.
package goplugin

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

//go:embed go_plugin.binpb
var descriptors []byte

const file = "plugin/go_plugin.proto"

// Resolver knows the descriptors of this package beside those of the global registry. They are parsed when somebody asks
// for one: under plugind usually nobody does, and a start is quicker and smaller without.
type Resolver struct {
	own func() (*protoregistry.Files, error)
}

// NewResolver parses nothing yet.
func NewResolver() *Resolver {
	return &Resolver{own: sync.OnceValues(parse)}
}

// parse fails only where the program was built with a broken go_plugin.binpb.
func parse() (*protoregistry.Files, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(descriptors, &set); err != nil {
		return nil, err
	}
	own := &protoregistry.Files{}
	for _, each := range set.GetFile() {
		parsed, err := protodesc.NewFile(each, protoregistry.GlobalFiles)
		if err != nil {
			return nil, err
		}
		if err := own.RegisterFile(parsed); err != nil {
			return nil, err
		}
	}
	return own, nil
}

// FindFileByPath is for protodesc.Resolver.
func (r *Resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	own, err := r.own()
	if err != nil {
		return nil, err
	}
	if found, err := own.FindFileByPath(path); err == nil {
		return found, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

// FindDescriptorByName is for protodesc.Resolver.
func (r *Resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	own, err := r.own()
	if err != nil {
		return nil, err
	}
	if found, err := own.FindDescriptorByName(name); err == nil {
		return found, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}

// Register adds the services to a server. A host's GRPCController/Shutdown calls shutdown, which must not wait; output
// goes over GRPCStdio.
func Register(server grpc.ServiceRegistrar, resolver *Resolver, shutdown func(), output *Output) {
	server.RegisterService(controller(shutdown), nil)
	server.RegisterService(stdio(resolver, output), nil)
	server.RegisterService(broker(output.Ended()), nil)
}

// controller takes google.protobuf.Empty for plugin.Empty: on the wire they are the same.
func controller(shutdown func()) *grpc.ServiceDesc {
	answer := func(context.Context, any) (any, error) {
		shutdown()
		return &emptypb.Empty{}, nil
	}
	handle := func(
		impl any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor,
	) (any, error) {
		request := &emptypb.Empty{}
		if err := decode(request); err != nil {
			return nil, err
		}
		if interceptor == nil {
			return answer(ctx, request)
		}
		info := &grpc.UnaryServerInfo{Server: impl, FullMethod: "/plugin.GRPCController/Shutdown"}
		return interceptor(ctx, request, info, answer)
	}
	return &grpc.ServiceDesc{
		ServiceName: "plugin.GRPCController",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Shutdown", Handler: handle}},
		Metadata:    file,
	}
}

// chunk is the most that a message of GRPCStdio carries, as in go-plugin.
const chunk = 1024

func stdio(resolver *Resolver, output *Output) *grpc.ServiceDesc {
	const stdout = 1
	handle := func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		for {
			printed, err := output.take(stream.Context(), chunk)
			if printed == nil || err != nil {
				return err
			}
			found, err := resolver.FindDescriptorByName("plugin.StdioData")
			if err != nil {
				return err
			}
			data := found.(protoreflect.MessageDescriptor)
			message := dynamicpb.NewMessage(data)
			message.Set(data.Fields().ByName("channel"), protoreflect.ValueOfEnum(stdout))
			message.Set(data.Fields().ByName("data"), protoreflect.ValueOfBytes(printed))
			if err := stream.SendMsg(message); err != nil {
				return err
			}
		}
	}
	return &grpc.ServiceDesc{
		ServiceName: "plugin.GRPCStdio",
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "StreamStdio", Handler: handle, ServerStreams: true}},
		Metadata:    file,
	}
}

// broker takes what a host announces and announces nothing itself: the author's services do not know of it. ended ends
// the hosts' streams.
func broker(ended <-chan struct{}) *grpc.ServiceDesc {
	handle := func(_ any, stream grpc.ServerStream) error {
		hungUp := make(chan error, 1)
		go func() {
			for {
				if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
					hungUp <- err
					return
				}
			}
		}()
		select {
		case err := <-hungUp:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-ended:
			return nil
		}
	}
	return &grpc.ServiceDesc{
		ServiceName: "plugin.GRPCBroker",
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "StartStream", Handler: handle, ServerStreams: true, ClientStreams: true,
		}},
		Metadata: file,
	}
}
