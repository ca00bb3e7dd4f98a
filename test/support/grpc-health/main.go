// A server with the health service of gRPC. SIGUSR1 makes it go from its first states to the next. It answers the two
// calls of Temporal's frontend that are waited for, too, with the fields of temporal/api/workflowservice/v1.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"
)

func main() {
	address := flag.String("address", "127.0.0.1:0", "where it listens")
	certificate := flag.String("certificate", "", "file of a certificate")
	key := flag.String("key", "", "file of its key")
	token := flag.String("token", "", "what the authorization metadata must be")
	bare := flag.Bool("bare", false, "without the health service")
	code := flag.Int("code", 0, "a status that every call gets")
	first := flag.String("states", "", "states at first: NAME=STATE,…")
	next := flag.String("then", "", "states after SIGUSR1")
	namespace := flag.String("namespace", "", "a namespace of Temporal that is there")
	queue := flag.String("polled", "", "a task queue of Temporal that a worker polls")
	flag.Parse()
	options := []grpc.ServerOption{grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		if *code != 0 {
			return nil, status.Error(codes.Code(*code), "as it was told, 100 % of the time: ä")
		}
		if *token != "" {
			given, _ := metadata.FromIncomingContext(ctx)
			said := given.Get("authorization")
			if len(said) == 0 {
				return nil, status.Error(codes.Unauthenticated, "no token")
			}
			if said[0] != "Bearer "+*token {
				return nil, status.Error(codes.PermissionDenied, "wrong token "+said[0])
			}
		}
		return handle(ctx, request)
	})}
	if *namespace != "" {
		options = append(options, grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return temporal(stream, *namespace, *queue)
		}))
	}
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			panic(err)
		}
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	}
	server := grpc.NewServer(options...)
	state := health.NewServer()
	if !*bare {
		healthpb.RegisterHealthServer(server, state)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		panic(err)
	}
	set(state, *first)
	go func() {
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGUSR1)
		fmt.Println("serving at " + listener.Addr().String())
		<-told
		set(state, *next)
	}()
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}

func set(server *health.Server, states string) {
	for one := range strings.SplitSeq(states, ",") {
		if service, state, given := strings.Cut(one, "="); given {
			server.SetServingStatus(service, healthpb.HealthCheckResponse_ServingStatus(healthpb.HealthCheckResponse_ServingStatus_value[state]))
		}
	}
}

// Field 1 is the namespace; of DescribeTaskQueue, field 2 holds the queue's name, and field 3 is its type.
func temporal(stream grpc.ServerStream, namespace, queue string) error {
	method, _ := grpc.MethodFromServerStream(stream)
	asked := &emptypb.Empty{}
	if err := stream.RecvMsg(asked); err != nil {
		return err
	}
	given := fields(asked.ProtoReflect().GetUnknown())
	if string(given[1]) != namespace {
		return status.Errorf(codes.NotFound, "Namespace %s is not found.", given[1])
	}
	answer := &emptypb.Empty{}
	switch method {
	case "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace":
	case "/temporal.api.workflowservice.v1.WorkflowService/DescribeTaskQueue":
		if string(fields(given[2])[1]) == queue && string(given[3]) == "1" {
			poller := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "worker@test")
			answer.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), poller))
		}
	default:
		return status.Error(codes.Unimplemented, "unknown method "+method)
	}
	return stream.SendMsg(answer)
}

func fields(message []byte) map[protowire.Number][]byte {
	found := map[protowire.Number][]byte{}
	for len(message) > 0 {
		number, kind, length := protowire.ConsumeTag(message)
		message = message[max(length, 0):]
		size := protowire.ConsumeFieldValue(number, kind, message)
		if length < 0 || size < 0 {
			break
		}
		if kind == protowire.BytesType {
			found[number], _ = protowire.ConsumeBytes(message)
		} else if value, read := protowire.ConsumeVarint(message); read > 0 {
			found[number] = fmt.Append(nil, value)
		}
		message = message[size:]
	}
	return found
}
