// A TLS client in Go: main CA-FILE SERVER-NAME HOST:PORT [CERT-FILE KEY-FILE]. Prints "trusted", or why not.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

func main() {
	pem, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		panic("no certificate in " + os.Args[1])
	}
	config := &tls.Config{RootCAs: roots, ServerName: os.Args[2]}
	if len(os.Args) > 4 {
		pair, err := tls.LoadX509KeyPair(os.Args[4], os.Args[5])
		if err != nil {
			panic(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	connection, err := tls.Dial("tcp", os.Args[3], config)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	connection.Close()
	fmt.Println("trusted")
}
