package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"plugind.example/kv/kvpb"
	"plugind.example/parity/paritypb"
)

var exercises = map[string]func(context.Context, *grpc.ClientConn) error{
	"interop": callInterop,
	"kv":      callKV,
	"parity":  callParity,
}

// callInterop ends the program when a case fails: that is how gRPC's functions are.
func callInterop(ctx context.Context, conn *grpc.ClientConn) error {
	client := testpb.NewTestServiceClient(conn)
	interop.DoEmptyUnaryCall(ctx, client)
	interop.DoLargeUnaryCall(ctx, client)
	interop.DoClientStreaming(ctx, client)
	interop.DoServerStreaming(ctx, client)
	interop.DoPingPong(ctx, client)
	interop.DoCustomMetadata(ctx, client)
	interop.DoStatusCodeAndMessage(ctx, client)
	interop.DoTimeoutOnSleepingServer(ctx, client)
	interop.DoCancelAfterBegin(ctx, client)
	interop.DoCancelAfterFirstResponse(ctx, client)
	return nil
}

func callKV(ctx context.Context, conn *grpc.ClientConn) error {
	store := kvpb.NewKVClient(conn)
	value := bytes.Repeat([]byte("green"), 100_000)
	if _, err := store.Put(ctx, &kvpb.PutRequest{Key: "color", Value: value}); err != nil {
		return err
	}
	got, err := store.Get(ctx, &kvpb.GetRequest{Key: "color"})
	if err != nil {
		return err
	}
	if !bytes.Equal(got.GetValue(), value) {
		return fmt.Errorf("get answered with %d bytes of another value", len(got.GetValue()))
	}
	if _, err := store.Get(ctx, &kvpb.GetRequest{Key: "shape"}); status.Code(err) != codes.NotFound {
		return fmt.Errorf("a key that is not there: %v", err)
	}
	return nil
}

func callParity(ctx context.Context, conn *grpc.ClientConn) error {
	client := paritypb.NewParityClient(conn)
	for _, text := range []string{"", "hello", strings.Repeat("long ", 600_000)} {
		answer, err := client.Echo(ctx, &paritypb.EchoRequest{Text: text})
		if err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		if answer.GetText() != text {
			return fmt.Errorf("echo answered with %d bytes for %d", len(answer.GetText()), len(text))
		}
	}
	soon, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := client.Sleep(soon, &paritypb.SleepRequest{Milliseconds: 5000}); status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("sleep beyond the deadline: %v", err)
	}
	return nil
}
