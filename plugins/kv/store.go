package main

import (
	"context"
	"sort"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"plugind.example/kv/kvpb"
)

// store is kv.v1.KV over a map. What it holds ends with the process.
type store struct {
	kvpb.UnimplementedKVServer

	mu     sync.RWMutex
	values map[string][]byte
}

func newStore() *store {
	return &store{values: make(map[string][]byte)}
}

func (s *store) Get(_ context.Context, req *kvpb.GetRequest) (*kvpb.GetResponse, error) {
	s.mu.RLock()
	value, found := s.values[req.GetKey()]
	s.mu.RUnlock()
	if !found {
		return nil, status.Errorf(codes.NotFound, "no such key: %q", req.GetKey())
	}
	return &kvpb.GetResponse{Value: value}, nil
}

func (s *store) Put(_ context.Context, req *kvpb.PutRequest) (*kvpb.PutResponse, error) {
	if req.GetKey() == "" {
		return nil, status.Error(codes.InvalidArgument, "the key is empty")
	}
	s.mu.Lock()
	_, replaced := s.values[req.GetKey()]
	s.values[req.GetKey()] = req.GetValue()
	s.mu.Unlock()
	return &kvpb.PutResponse{Replaced: replaced}, nil
}

func (s *store) Delete(_ context.Context, req *kvpb.DeleteRequest) (*kvpb.DeleteResponse, error) {
	s.mu.Lock()
	_, deleted := s.values[req.GetKey()]
	delete(s.values, req.GetKey())
	s.mu.Unlock()
	return &kvpb.DeleteResponse{Deleted: deleted}, nil
}

func (s *store) List(_ context.Context, req *kvpb.ListRequest) (*kvpb.ListResponse, error) {
	keys := []string{}
	s.mu.RLock()
	for key := range s.values {
		if strings.HasPrefix(key, req.GetPrefix()) {
			keys = append(keys, key)
		}
	}
	s.mu.RUnlock()
	sort.Strings(keys)
	return &kvpb.ListResponse{Keys: keys}, nil
}
