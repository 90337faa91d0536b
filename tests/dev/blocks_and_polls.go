// A Go program at a device: a read that blocks until somebody writes, and, through the runtime's
// poller (epoll), one with a deadline that passes and one that is woken.
package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// Writes later, from another thread.
func writeLater(f *os.File, text string) {
	go func() {
		time.Sleep(200 * time.Millisecond)
		_, err := f.WriteString(text)
		check(err)
	}()
}

func main() {
	path := os.Args[1]
	buffer := make([]byte, 64)

	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	check(err)
	reader, err := os.Open(path)
	check(err)
	writeLater(writer, "written\n")
	begin := time.Now()
	n, err := reader.Read(buffer)
	check(err)
	fmt.Printf("blocked: %v, read %q\n", time.Since(begin) > 150*time.Millisecond, buffer[:n])

	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NONBLOCK, 0)
	check(err)
	polled := os.NewFile(uintptr(fd), path)
	check(polled.SetReadDeadline(time.Now().Add(100 * time.Millisecond)))
	_, err = polled.Read(buffer)
	fmt.Printf("deadline passed: %v\n", errors.Is(err, os.ErrDeadlineExceeded))
	check(polled.SetReadDeadline(time.Time{}))
	writeLater(writer, "polled\n")
	n, err = polled.Read(buffer)
	check(err)
	fmt.Printf("woken: read %q\n", buffer[:n])
}
