package plugind_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	plugind "github.com/plugind/plugind/sdk/go"
	"github.com/plugind/plugind/sdk/go/internal/sample"
	"github.com/plugind/plugind/sdk/go/pluginv1"
)

// The test's binary is the plugin, too: hosts start it with this variable.
const role = "PLUGIND_SDK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "plugin":
		fromTheBeginning := os.Stdout // what a logger made at the start of the program holds
		p := plugind.New("sample", "1.2.3").ShutdownTimeout(time.Second)
		p.OnStart(func(context.Context) error {
			if os.Getenv("FAIL") != "" {
				return fmt.Errorf("no database: %s", os.Getenv("FAIL"))
			}
			return nil
		}).OnShutdown(func() { slog.Info("shutting down") })
		sample.Register(p, sample.Handlers{
			"print": func(_ context.Context, text string) (string, error) {
				fmt.Fprintln(fromTheBeginning, text)
				return "", nil
			},
			"sleep": func(ctx context.Context, text string) (string, error) {
				pause, _ := time.ParseDuration(text)
				select {
				case <-time.After(pause):
					return "slept", nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			},
		})
		p.Serve()
	case "host":
		// A host that dies: its plugin's handshake passes through, and then it waits to be killed.
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), role+"=plugin")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			os.Exit(3)
		}
		fmt.Fprintln(os.Stderr, "pid", child.Process.Pid)
		time.Sleep(time.Hour) // not select {}, which Go takes for a deadlock
	}
}

// started is a plugin's process and what it says.
type started struct {
	*exec.Cmd
	handshake []string
	stdout    *bufio.Reader
	// closeStdout closes the host's end of it.
	closeStdout func()
	stderr      *strings.Builder
	errors      chan struct{} // closed when stderr has been read to its end
}

func start(t *testing.T, as string, environment ...string) *started {
	t.Helper()
	dir, err := os.MkdirTemp("", "sdk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &started{Cmd: exec.Command(os.Args[0]), stderr: &strings.Builder{}, errors: make(chan struct{})}
	s.Env = append([]string{role + "=" + as, "PLUGIND_PLUGIN=1", "PLUGIN_PROTOCOL_VERSIONS=1", "TMPDIR=" + dir}, environment...)
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errors, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Process.Kill() })
	s.stdout, s.closeStdout = bufio.NewReader(out), func() { out.Close() }
	line, err := s.stdout.ReadString('\n')
	if err != nil {
		rest, _ := io.ReadAll(errors)
		t.Fatalf("no handshake: %v\n%s", err, rest)
	}
	s.handshake = strings.Split(strings.TrimSuffix(line, "\n"), "|")
	go func() {
		defer close(s.errors)
		_, _ = io.Copy(s.stderr, errors)
	}()
	return s
}

func (s *started) socket() string { return s.handshake[3] }

func (s *started) dial(t *testing.T, with credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+s.socket(), grpc.WithTransportCredentials(with), grpc.WithAuthority("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ended waits for the exit and checks what must hold after each.
func (s *started) ended(t *testing.T, within time.Duration) {
	t.Helper()
	timer := time.AfterFunc(within, func() { _ = s.Process.Kill() })
	defer timer.Stop()
	<-s.errors
	if err := s.Wait(); err != nil {
		t.Fatalf("the plugin ended with %v:\n%s", err, s.stderr)
	}
	if _, err := os.Stat(s.socket()); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	if !strings.Contains(s.stderr.String(), `"@message":"shutting down"`) {
		t.Errorf("OnShutdown has not run:\n%s", s.stderr)
	}
}

func TestEndsInOrderHoweverItIsAsked(t *testing.T) {
	ways := map[string]func(*started, *grpc.ClientConn) error{
		"SIGTERM": func(s *started, _ *grpc.ClientConn) error { return s.Process.Signal(syscall.SIGTERM) },
		"plugind's Shutdown": func(_ *started, conn *grpc.ClientConn) error {
			_, err := pluginv1.NewPluginClient(conn).Shutdown(context.Background(), &pluginv1.ShutdownRequest{})
			return err
		},
		"go-plugin's Shutdown": func(_ *started, conn *grpc.ClientConn) error {
			return conn.Invoke(context.Background(), "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{})
		},
	}
	for name, ask := range ways {
		t.Run(name, func(t *testing.T) {
			s := start(t, "plugin")
			conn := s.dial(t, insecure.NewCredentials())
			watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if seen, err := watch.Recv(); err != nil || seen.GetStatus() != healthpb.HealthCheckResponse_SERVING {
				t.Fatalf("at first health says %v, %v", seen, err)
			}
			slept := make(chan error, 1)
			go func() {
				_, err := sample.Call(t.Context(), conn, "sleep", "300ms")
				slept <- err
			}()
			// The call runs when a later one on the same connection has been answered.
			if _, err := sample.Call(t.Context(), conn, "sleep", "0s"); err != nil {
				t.Fatal(err)
			}
			if err := ask(s, conn); err != nil {
				t.Fatal(err)
			}
			if seen, err := watch.Recv(); err != nil || seen.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
				t.Errorf("then health says %v, %v", seen, err)
			}
			if err := <-slept; err != nil {
				t.Errorf("the running call was lost: %v", err)
			}
			s.ended(t, 3*time.Second)
		})
	}
}

func TestEndsInBoundedTimeUnderACallThatDoesNot(t *testing.T) {
	s := start(t, "plugin")
	conn := s.dial(t, insecure.NewCredentials())
	slept := make(chan error, 1)
	go func() {
		_, err := sample.Call(t.Context(), conn, "sleep", "1m")
		slept <- err
	}()
	if _, err := sample.Call(t.Context(), conn, "sleep", "0s"); err != nil {
		t.Fatal(err)
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.ended(t, 4*time.Second) // the plugin's ShutdownTimeout is 1 s
	if err := <-slept; err == nil {
		t.Error("the call was answered")
	}
}

func TestEndsWhenItsHostIsGone(t *testing.T) {
	s := start(t, "host", "PLUGIND_INSTANCE=test") // under a name of plugind's: its stdout is ours, and stays open
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	<-s.errors // the plugin held it, too
	if took := time.Since(killed); took > 2*time.Second {
		t.Errorf("it lived for another %v", took)
	}
	if said := s.stderr.String(); !strings.Contains(said, "the host is gone") || !strings.Contains(said, "shutting down") {
		t.Errorf("it did not end in order:\n%s", said)
	}
	_ = s.Wait()
}

func TestServesUnderPlugindInItsDirectory(t *testing.T) {
	dir, err := os.MkdirTemp("", "sdk-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s := start(t, "plugin", "PLUGIN_UNIX_SOCKET_DIR="+dir, "PLUGIND_INSTANCE=test")
	if got := strings.Join(s.handshake, "|"); got != "1|1|unix|"+dir+"/p.sock|grpc" {
		t.Errorf("the handshake is %q", got)
	}
	info, err := os.Stat(s.socket())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	// Under plugind stdout is read for ever, and nothing is done to it.
	if _, err := sample.Call(t.Context(), s.dial(t, insecure.NewCredentials()), "print", "hello, log"); err != nil {
		t.Fatal(err)
	}
	if line, err := s.stdout.ReadString('\n'); err != nil || line != "hello, log\n" {
		t.Errorf("stdout has %q, %v", line, err)
	}
	_ = s.Process.Signal(syscall.SIGTERM)
	s.ended(t, 3*time.Second)
}

func TestPrintsGoOverGRPCStdioUnderOtherHosts(t *testing.T) {
	s := start(t, "plugin")
	conn := s.dial(t, insecure.NewCredentials())
	// Before anybody reads: more than a pipe holds.
	line := strings.Repeat("x", 1023)
	for range 400 {
		if _, err := sample.Call(t.Context(), conn, "print", line); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/plugin.GRPCStdio/StreamStdio")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := sample.Call(t.Context(), conn, "print", "the last line"); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	for !strings.Contains(printed.String(), "the last line\n") {
		var data emptypb.Empty // what it does not know it keeps
		if err := stream.RecvMsg(&data); err != nil {
			t.Fatalf("%v after %d bytes", err, printed.Len())
		}
		raw := data.ProtoReflect().GetUnknown()
		printed.Write(sample.Field(raw, 2))
		if channel := sample.Varint(raw, 1); channel != 1 {
			t.Fatalf("on channel %d", channel)
		}
	}
	if !strings.HasPrefix(printed.String(), "[") || !strings.Contains(printed.String(), "bytes of output were dropped: nobody read them]\n"+line) {
		t.Errorf("what was dropped is not said: %.200s", printed.String())
	}
	_ = s.Process.Signal(syscall.SIGTERM)
	s.ended(t, 3*time.Second)
}

func TestServesOnWhenItsPipesAreClosed(t *testing.T) {
	s := start(t, "plugin", "PLUGIND_INSTANCE=test")
	conn := s.dial(t, insecure.NewCredentials())
	s.closeStdout()
	for range 3 {
		if _, err := sample.Call(t.Context(), conn, "print", "to nobody"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAutoMTLSLetsTheHostInAndNobodyElse(t *testing.T) {
	host, hostPEM := certificate(t)
	s := start(t, "plugin", "PLUGIN_CLIENT_CERT="+hostPEM)
	if len(s.handshake) != 6 {
		t.Fatalf("the handshake is %q", s.handshake)
	}
	der, err := base64.RawStdEncoding.DecodeString(s.handshake[5])
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	config := &tls.Config{Certificates: []tls.Certificate{host}, RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	if _, err := sample.Call(t.Context(), s.dial(t, credentials.NewTLS(config)), "sleep", "0s"); err != nil {
		t.Errorf("the host itself: %v", err)
	}
	stranger, _ := certificate(t)
	config = config.Clone()
	config.Certificates = []tls.Certificate{stranger}
	for name, with := range map[string]credentials.TransportCredentials{
		"another certificate": credentials.NewTLS(config), "no TLS": insecure.NewCredentials(),
	} {
		if _, err := sample.Call(t.Context(), s.dial(t, with), "sleep", "0s"); status.Code(err) != codes.Unavailable {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader) // as go-plugin's hosts have
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// run is a plugin that ends by itself.
func run(t *testing.T, environment []string, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors strings.Builder
	command := exec.Command(os.Args[0], arguments...)
	command.Env = append([]string{role + "=plugin", "TMPDIR=" + t.TempDir()}, environment...)
	command.Stdout, command.Stderr = &out, &errors
	timer := time.AfterFunc(10*time.Second, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	_ = command.Run()
	return command.ProcessState.ExitCode(), out.String(), errors.String()
}

func TestRefusesWithAReason(t *testing.T) {
	for _, c := range []struct {
		environment string
		says        string
	}{
		{"PLUGIND_PLUGIN=2", "magic_cookie"},
		{"PLUGIN_MULTIPLEX_GRPC=true", "GRPCBrokerMultiplex"},
		{"PLUGIN_CLIENT_CERT=garbage", "PLUGIN_CLIENT_CERT"},
		{"FAIL=who knows why", "no database: who knows why"},
		{"PLUGIN_UNIX_SOCKET_DIR=/nonexistent", "/nonexistent/p.sock"},
		{"PLUGIN_UNIX_SOCKET_DIR=/" + strings.Repeat("long/", 30), "107"},
	} {
		code, stdout, stderr := run(t, []string{"PLUGIND_PLUGIN=1", c.environment})
		if code != 1 || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("with %s: exit code %d, %q on stdout and on stderr:\n%s", c.environment, code, stdout, stderr)
		}
	}
}

func TestExplainsItselfWhenRunByHand(t *testing.T) {
	code, stdout, stderr := run(t, nil)
	program, _ := filepath.EvalSymlinks(os.Args[0])
	if code != 1 || stdout != "" || !strings.Contains(stderr, "sample 1.2.3 is a plugin") || !strings.Contains(stderr, program) {
		t.Errorf("exit code %d, %q on stdout and on stderr:\n%s", code, stdout, stderr)
	}
}

func TestInfoIsJSON(t *testing.T) {
	code, stdout, stderr := run(t, nil, "--verbose", "--plugind-info")
	var info map[string]any
	if err := json.Unmarshal([]byte(stdout), &info); err != nil || code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %v, on stderr %q", code, err, stderr)
	}
	if fmt.Sprintln(info["name"], info["version"], info["services"], info["protocolVersions"]) != "sample 1.2.3 [sample.v1.Sample] [1]\n" {
		t.Errorf("it says %v", info)
	}
	if _, found := info["configSchema"]; found {
		t.Error("there is a schema, and the plugin has none")
	}
}
