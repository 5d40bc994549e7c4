// Package hello is the service of both programs, without generated code.
package hello

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Sayer is what Desc calls.
type Sayer interface {
	Say(context.Context, *wrapperspb.StringValue) (*wrapperspb.StringValue, error)
}

// Hello answers "hello " and the request.
type Hello struct{}

// Say implements Sayer.
func (Hello) Say(_ context.Context, in *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	return wrapperspb.String("hello " + in.Value), nil
}

func say(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.StringValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	if intercept == nil {
		return srv.(Sayer).Say(ctx, in)
	}
	info := &grpc.UnaryServerInfo{Server: srv, FullMethod: "/hello.v1.Hello/Say"}
	return intercept(ctx, in, info, func(ctx context.Context, in any) (any, error) {
		return srv.(Sayer).Say(ctx, in.(*wrapperspb.StringValue))
	})
}

// Desc is hello.v1.Hello.
var Desc = grpc.ServiceDesc{
	ServiceName: "hello.v1.Hello",
	HandlerType: (*Sayer)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Say", Handler: say}},
}
