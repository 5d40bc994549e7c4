package main

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"plugind.example/kv/kvpb"
)

func TestPutThenGetReturnsTheValue(t *testing.T) {
	s, ctx := newStore(), context.Background()
	if put, err := s.Put(ctx, &kvpb.PutRequest{Key: "a", Value: []byte("1")}); err != nil || put.Replaced {
		t.Fatalf("first Put: %v, %v", put, err)
	}
	if put, err := s.Put(ctx, &kvpb.PutRequest{Key: "a", Value: []byte("2")}); err != nil || !put.Replaced {
		t.Fatalf("second Put: %v, %v", put, err)
	}
	if got, err := s.Get(ctx, &kvpb.GetRequest{Key: "a"}); err != nil || string(got.Value) != "2" {
		t.Fatalf("Get: %v, %v", got, err)
	}
}

func TestGetOfAMissingKeyIsNotFound(t *testing.T) {
	_, err := newStore().Get(context.Background(), &kvpb.GetRequest{Key: "a"})
	if status.Code(err) != codes.NotFound {
		t.Fatalf("got %v", err)
	}
}

func TestPutWithoutAKeyIsRefused(t *testing.T) {
	_, err := newStore().Put(context.Background(), &kvpb.PutRequest{})
	if status.Code(err) != codes.InvalidArgument {
		t.Fatalf("got %v", err)
	}
}

func TestListReturnsKeysOfAPrefixSorted(t *testing.T) {
	s, ctx := newStore(), context.Background()
	for _, key := range []string{"b/2", "a/1", "b/1"} {
		if _, err := s.Put(ctx, &kvpb.PutRequest{Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	if deleted, err := s.Delete(ctx, &kvpb.DeleteRequest{Key: "a/1"}); err != nil || !deleted.Deleted {
		t.Fatalf("Delete: %v, %v", deleted, err)
	}
	got, err := s.List(ctx, &kvpb.ListRequest{Prefix: "b/"})
	if err != nil || len(got.Keys) != 2 || got.Keys[0] != "b/1" || got.Keys[1] != "b/2" {
		t.Fatalf("List: %v, %v", got, err)
	}
}
