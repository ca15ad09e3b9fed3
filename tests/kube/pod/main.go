// Command pod is the test bed's own image: without arguments it holds a pod's namespaces, as the first
// container of every pod does. `pod serve FOLDER` keeps files in a folder: PUT and GET
// at port 8080, where GET /resolve/NAME asks the pod's own name server.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGINT, syscall.SIGTERM)
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		folder := os.Args[2]
		http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
			serve(folder, answer, request)
		})
		go func() {
			fmt.Fprintln(os.Stderr, http.ListenAndServe(":8080", nil))
			os.Exit(1)
		}()
	}
	<-ends
}

func serve(folder string, answer http.ResponseWriter, request *http.Request) {
	path := filepath.Join(folder, filepath.Base(request.URL.Path))
	var err error
	name, asksForName := strings.CutPrefix(request.URL.Path, "/resolve/")
	switch {
	case request.URL.Path == "/":
		name, _ := os.Hostname()
		fmt.Fprint(answer, name)
	case asksForName:
		var found []string
		if found, err = net.LookupHost(name); err == nil {
			fmt.Fprint(answer, strings.Join(found, " "))
		}
	case request.Method == http.MethodPut:
		if err = store(path, request.Body); err == nil {
			answer.WriteHeader(http.StatusCreated)
		}
	default:
		var file *os.File
		if file, err = os.Open(path); err == nil {
			defer file.Close()
			_, err = io.Copy(answer, file)
		}
	}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		http.Error(answer, err.Error(), http.StatusInsufficientStorage)
	case errors.Is(err, os.ErrNotExist):
		http.Error(answer, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(answer, err.Error(), http.StatusInternalServerError)
	}
}

// store writes a file and waits until the disk has it.
func store(path string, body io.Reader) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, body); err != nil {
		return err
	}
	return file.Sync()
}
