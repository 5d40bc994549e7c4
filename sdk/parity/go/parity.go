package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	plugind "github.com/plugind/plugind/sdk/go"
	"plugind.example/parity/paritypb"
)

type parity struct {
	paritypb.UnimplementedParityServer
	plugin *plugind.Plugin
}

func (p *parity) Echo(ctx context.Context, request *paritypb.EchoRequest) (*paritypb.EchoResponse, error) {
	answer := &paritypb.EchoResponse{Text: request.GetText(), Metadata: map[string]string{}}
	came, _ := metadata.FromIncomingContext(ctx)
	for key, values := range came {
		if !strings.HasSuffix(key, "-bin") {
			answer.Metadata[key] = values[0]
		}
	}
	return answer, nil
}

func (p *parity) Sleep(ctx context.Context, request *paritypb.SleepRequest) (*paritypb.SleepResponse, error) {
	select {
	case <-time.After(time.Duration(request.GetMilliseconds()) * time.Millisecond):
		return &paritypb.SleepResponse{}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

func (p *parity) Print(_ context.Context, request *paritypb.PrintRequest) (*paritypb.PrintResponse, error) {
	if request.GetToStderr() {
		fmt.Fprintln(os.Stderr, request.GetText())
	} else {
		fmt.Println(request.GetText())
	}
	return &paritypb.PrintResponse{}, nil
}

var levels = map[string]slog.Level{
	"trace": plugind.LevelTrace,
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}

func (p *parity) Log(_ context.Context, request *paritypb.LogRequest) (*paritypb.LogResponse, error) {
	level, known := levels[request.GetLevel()]
	if !known {
		return nil, status.Errorf(codes.InvalidArgument, "there is no level %q", request.GetLevel())
	}
	var fields []any
	for key, value := range request.GetFields() {
		fields = append(fields, key, value)
	}
	p.plugin.Log(level, request.GetMessage(), fields...)
	return &paritypb.LogResponse{}, nil
}

func (p *parity) CallPeer(ctx context.Context, request *paritypb.CallPeerRequest) (*paritypb.CallPeerResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for key, value := range request.GetMetadata() {
		ctx = metadata.AppendToOutgoingContext(ctx, key, value)
	}
	peer := paritypb.NewParityClient(p.plugin.Peer(request.GetName()))
	echo, err := peer.Echo(ctx, &paritypb.EchoRequest{Text: request.GetText()})
	if err != nil {
		said := status.Convert(err)
		return &paritypb.CallPeerResponse{Code: int32(said.Code()), Message: said.Message()}, nil
	}
	return &paritypb.CallPeerResponse{Echo: echo}, nil
}

func (p *parity) Agreed(_ context.Context, request *paritypb.AgreedRequest) (*paritypb.AgreedResponse, error) {
	version, _ := p.plugin.Agreed(request.GetCapability())
	return &paritypb.AgreedResponse{Version: version}, nil
}

func (p *parity) Settings(context.Context, *paritypb.SettingsRequest) (*paritypb.SettingsResponse, error) {
	text, err := json.Marshal(p.plugin.Settings())
	if err != nil {
		return nil, err
	}
	return &paritypb.SettingsResponse{Json: string(text)}, nil
}

func (p *parity) AskHost(ctx context.Context, _ *paritypb.AskHostRequest) (*paritypb.AskHostResponse, error) {
	identity, err := p.plugin.Identity(ctx)
	if err != nil {
		return unanswered(err), nil
	}
	peers, err := p.plugin.Peers(ctx)
	if err != nil {
		return unanswered(err), nil
	}
	answer := &paritypb.AskHostResponse{Identity: &paritypb.Identity{
		Name: identity.Name, Instance: identity.Instance, ProtocolVersion: uint32(identity.ProtocolVersion),
		Capabilities: identity.Capabilities, Host: identity.Host, HostVersion: identity.HostVersion,
	}}
	for _, each := range peers {
		answer.Peers = append(answer.Peers, &paritypb.Peer{
			Name: each.Name, State: each.State, Version: each.Version, Services: each.Services, Methods: each.Methods,
		})
	}
	return answer, nil
}

func unanswered(err error) *paritypb.AskHostResponse {
	said := status.Convert(err)
	return &paritypb.AskHostResponse{Code: int32(said.Code()), Message: said.Message()}
}

func (p *parity) SetStatus(ctx context.Context, request *paritypb.SetStatusRequest) (*paritypb.SetStatusResponse, error) {
	if err := p.plugin.SetStatus(ctx, request.GetText()); err != nil {
		slog.Warn("no status was set", "error", err)
	}
	return &paritypb.SetStatusResponse{}, nil
}

func (p *parity) SetServing(_ context.Context, request *paritypb.SetServingRequest) (*paritypb.SetServingResponse, error) {
	p.plugin.SetServing(request.GetServing())
	return &paritypb.SetServingResponse{}, nil
}

func (p *parity) Stop(context.Context, *paritypb.StopRequest) (*paritypb.StopResponse, error) {
	p.plugin.Stop()
	return &paritypb.StopResponse{}, nil
}
