// Package sample is a service for this module's tests: sample.v1.Sample/Do, which takes and gives a
// google.protobuf.StringValue and does what the test's handler named by the metadata "do" does.
package sample

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"

	plugind "github.com/plugind/plugind/sdk/go"
)

// Handlers do what a call asks for, by name.
type Handlers map[string]func(ctx context.Context, text string) (string, error)

// ServiceDesc is what protoc-gen-go-grpc would make of the service.
var ServiceDesc = grpc.ServiceDesc{
	ServiceName: "sample.v1.Sample",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Do", Handler: func(
		impl any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor,
	) (any, error) {
		request := &wrapperspb.StringValue{}
		if err := decode(request); err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, request any) (any, error) {
			return impl.(Handlers).do(ctx, request.(*wrapperspb.StringValue))
		}
		if interceptor == nil {
			return handle(ctx, request)
		}
		return interceptor(ctx, request, &grpc.UnaryServerInfo{Server: impl, FullMethod: "/sample.v1.Sample/Do"}, handle)
	}}},
	Metadata: "sample.proto",
}

func (h Handlers) do(ctx context.Context, request *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	for _, name := range metadata.ValueFromIncomingContext(ctx, "do") {
		if handle := h[name]; handle != nil {
			text, err := handle(ctx, request.GetValue())
			return wrapperspb.String(text), err
		}
	}
	return nil, status.Error(codes.InvalidArgument, "there is nothing to do")
}

// Register lets p serve the handlers.
func Register(p *plugind.Plugin, handlers Handlers) {
	p.Service(&ServiceDesc, handlers)
}

// Call has the handler called name do something.
func Call(ctx context.Context, conn *grpc.ClientConn, name, text string) (string, error) {
	answer := &wrapperspb.StringValue{}
	ctx = metadata.AppendToOutgoingContext(ctx, "do", name)
	err := conn.Invoke(ctx, "/sample.v1.Sample/Do", wrapperspb.String(text), answer)
	return answer.GetValue(), err
}

// Field is a bytes field of a message, by number.
func Field(message []byte, number protowire.Number) []byte {
	found, _ := field(message, number)
	value, _ := protowire.ConsumeBytes(found)
	return value
}

// Varint is an integer field of a message, by number.
func Varint(message []byte, number protowire.Number) uint64 {
	found, _ := field(message, number)
	value, _ := protowire.ConsumeVarint(found)
	return value
}

func field(message []byte, number protowire.Number) ([]byte, bool) {
	for len(message) > 0 {
		at, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return nil, false
		}
		size := protowire.ConsumeFieldValue(at, kind, message[tag:])
		if size < 0 {
			return nil, false
		}
		if at == number {
			return message[tag : tag+size], true
		}
		message = message[tag+size:]
	}
	return nil, false
}
