// Package goplugin serves what a host built on hashicorp/go-plugin expects of its plugins: GRPCController, GRPCStdio, and
// GRPCBroker as far as that nothing in the host blocks.
//
// Their messages are not in protobuf's global registry: a program that links go-plugin too has them there already, and
// would end with a panic at its start. Package reflection has their descriptors.
package goplugin

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"
)

const file = "plugin/go_plugin.proto"

// Register adds the services to a server. A host's GRPCController/Shutdown calls shutdown, which must not wait; output
// goes over GRPCStdio.
func Register(server grpc.ServiceRegistrar, shutdown func(), output *Output) {
	server.RegisterService(controller(shutdown), nil)
	server.RegisterService(stdio(output), nil)
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

func stdio(output *Output) *grpc.ServiceDesc {
	handle := func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		for {
			printed, err := output.take(stream.Context(), chunk)
			if printed == nil || err != nil {
				return err
			}
			if err := stream.SendMsg(stdioData(printed)); err != nil {
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

// stdioData is plugin.StdioData of the standard output, in an Empty that does not know its fields and passes them on.
func stdioData(printed []byte) *emptypb.Empty {
	const channel, stdout, data = 1, 1, 2
	raw := protowire.AppendVarint(protowire.AppendTag(nil, channel, protowire.VarintType), stdout)
	raw = protowire.AppendBytes(protowire.AppendTag(raw, data, protowire.BytesType), printed)
	message := &emptypb.Empty{}
	message.ProtoReflect().SetUnknown(raw)
	return message
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
