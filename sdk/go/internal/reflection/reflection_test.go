package reflection

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	alphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// client is a connection to a server with health and reflection.
func client(t *testing.T) *grpc.ClientConn {
	// Not t.TempDir(), which has the test's name in it: a socket's path holds 107 bytes.
	dir, err := os.MkdirTemp("", "reflection-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, healthpb.UnimplementedHealthServer{})
	Register(server)
	go func() { _ = server.Serve(listener) }() // until Stop
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

type (
	question = reflectionpb.ServerReflectionRequest
	reply    = reflectionpb.ServerReflectionResponse
)

// ask asks one thing after the other, on one stream.
func ask(t *testing.T, connection *grpc.ClientConn, questions ...*question) []*reply {
	stream, err := reflectionpb.NewServerReflectionClient(connection).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var answers []*reply
	for _, question := range questions {
		if err := stream.Send(question); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(answer.GetOriginalRequest(), question) {
			t.Errorf("%v is answered as if it was %v", question, answer.GetOriginalRequest())
		}
		answers = append(answers, answer)
	}
	return answers
}

func byName(path string) *question {
	return &question{
		Host: "anybody", MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: path},
	}
}

func containing(symbol string) *question {
	return &question{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol},
	}
}

func extension(of string, number int32) *question {
	return &question{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingExtension{
		FileContainingExtension: &reflectionpb.ExtensionRequest{ContainingType: of, ExtensionNumber: number},
	}}
}

func numbers(of string) *question {
	return &question{
		MessageRequest: &reflectionpb.ServerReflectionRequest_AllExtensionNumbersOfType{AllExtensionNumbersOfType: of},
	}
}

func paths(t *testing.T, answer *reply) []string {
	var all []string
	for _, raw := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(raw, &file); err != nil {
			t.Fatal(err)
		}
		all = append(all, file.GetName())
	}
	return all
}

func TestBothVersionsListTheServices(t *testing.T) {
	connection := client(t)
	want := []string{
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
	}
	var got []string
	list := &question{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}
	for _, service := range ask(t, connection, list)[0].GetListServicesResponse().GetService() {
		got = append(got, service.GetName())
	}
	if !slices.Equal(got, want) {
		t.Errorf("v1: %v", got)
	}
	stream, err := alphapb.NewServerReflectionClient(connection).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	request := &alphapb.ServerReflectionRequest{MessageRequest: &alphapb.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || len(answer.GetListServicesResponse().GetService()) != len(want) {
		t.Errorf("v1alpha: %v, %v", answer, err)
	}
}

func TestAFileComesWithItsImportsOnceAStream(t *testing.T) {
	const (
		structs  = "google/protobuf/struct.proto"
		plugin   = "plugin/go_plugin.proto"
		empty    = "google/protobuf/empty.proto"
		api      = "google/protobuf/api.proto"
		anything = "google/protobuf/any.proto"
		context  = "google/protobuf/source_context.proto"
		types    = "google/protobuf/type.proto"
	)
	answers := ask(t, client(t), containing("google.protobuf.Struct.fields"), byName(api), byName(types),
		containing("plugin.GRPCController.Shutdown"), containing("plugin.StdioData"), byName(anything))
	want := [][]string{
		{structs}, {api, context, types, anything}, {types}, {plugin, empty}, {plugin}, {anything},
	}
	for i, answer := range answers {
		if got := paths(t, answer); !slices.Equal(got, want[i]) {
			t.Errorf("%v has %v", answer.GetOriginalRequest(), got)
		}
	}
}

func TestReflectionDescribesItself(t *testing.T) {
	for _, file := range []*descriptorpb.FileDescriptorProto{
		protodesc.ToFileDescriptorProto(reflectionpb.File_grpc_reflection_v1_reflection_proto),
		protodesc.ToFileDescriptorProto(alphapb.File_grpc_reflection_v1alpha_reflection_proto),
	} {
		service := file.GetPackage() + ".ServerReflection"
		answer := ask(t, client(t), containing(service))[0]
		var got descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(answer.GetFileDescriptorResponse().GetFileDescriptorProto()[0], &got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got.GetService()[0], file.GetService()[0]) || len(got.GetMessageType()) != len(file.GetMessageType()) {
			t.Errorf("%s is %v", service, &got)
		}
	}
}

func TestExtensionsAreFoundByTheirNumber(t *testing.T) {
	const features, goFeatures = "google.protobuf.FeatureSet", 1002
	answers := ask(t, client(t), extension(features, goFeatures), numbers(features), numbers("google.protobuf.Struct"))
	if got := paths(t, answers[0]); len(got) == 0 || got[0] != "google/protobuf/go_features.proto" {
		t.Errorf("the extension is in %v", got)
	}
	got := answers[1].GetAllExtensionNumbersResponse()
	if !slices.Contains(got.GetExtensionNumber(), goFeatures) || got.GetBaseTypeName() != features {
		t.Errorf("the extensions are %v", got)
	}
	if got := answers[2].GetAllExtensionNumbersResponse(); got == nil || len(got.GetExtensionNumber()) != 0 {
		t.Errorf("of a message without any: %v", got)
	}
}

func TestNoRequestDoesHarm(t *testing.T) {
	server := grpc.NewServer()
	Register(server)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		request := make([]byte, random.IntN(24))
		for i := range request {
			request[i] = byte(random.Uint32())
		}
		if len(request) > 2 { // often a question, at least in its beginning
			request[0] = byte(fileByName+random.IntN(5))<<3 | 2
			request[1] %= 24
		}
		if said, err := answer(request, server, map[string]bool{}); (said == nil) == (err == nil) {
			t.Fatalf("% x is answered % x, %v", request, said, err)
		}
	}
}

func TestWhatNobodyKnowsIsNotFound(t *testing.T) {
	for _, answer := range ask(t, client(t), byName("nobody.proto"), containing("nobody.v1.Nobody"),
		containing("plugin.Nobody"), extension("google.protobuf.FeatureSet", 7), numbers("nobody.v1.Nobody")) {
		refusal := answer.GetErrorResponse()
		if codes.Code(refusal.GetErrorCode()) != codes.NotFound || refusal.GetErrorMessage() == "" {
			t.Errorf("%v is answered %v", answer.GetOriginalRequest(), answer)
		}
	}
	stream, err := reflectionpb.NewServerReflectionClient(client(t)).ServerReflectionInfo(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&question{Host: "no question"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no question ends with %v", err)
	}
}
