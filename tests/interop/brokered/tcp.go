package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// answerOverTCP puts a TCP listener on the loopback before go-plugin's own socket, which is a Unix one wherever there are
// any: the handshake that Serve prints is changed on its way to name the listener, and the bytes of each connection,
// TLS included, pass through untouched.
func answerOverTCP() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	stdout := os.Stdout
	os.Stdout = write
	go func() {
		line, err := bufio.NewReader(read).ReadString('\n')
		fields := strings.Split(line, "|")
		if err != nil || len(fields) < 5 {
			fmt.Fprintf(os.Stderr, "brokered: the handshake is %q (%v)\n", line, err)
			os.Exit(1)
		}
		socket := fields[3]
		fields[2], fields[3] = "tcp", listener.Addr().String()
		go relay(listener, socket)
		fmt.Fprint(stdout, strings.Join(fields, "|"))
	}()
	return nil
}

func relay(listener net.Listener, socket string) {
	for {
		outside, err := listener.Accept()
		if err != nil {
			return
		}
		inside, err := net.Dial("unix", socket)
		if err != nil {
			outside.Close()
			continue
		}
		pass := func(to, from net.Conn) {
			_, _ = io.Copy(to, from)
			to.Close()
			from.Close()
		}
		go pass(inside, outside)
		go pass(outside, inside)
	}
}
