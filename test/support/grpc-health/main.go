// A server with the health service of gRPC and nothing else. SIGUSR1 makes it go from its first states to the next.
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
