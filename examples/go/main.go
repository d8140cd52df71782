// Builds "hello" on top of "base", unless it already exists. Usage: go run . ROOT BASE.tar
//
// The library must be installed, so that pkg-config finds it. Errors of the library become Go errors with the same message.
package main

/*
#cgo pkg-config: docker_store
#include <docker_store.h>
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"unsafe"
)

// check converts the status and error of a call to a Go error, and frees the library's error.
func check(status C.dstore_status, failure *C.dstore_error) error {
	defer C.dstore_error_free(failure)
	if status == C.DSTORE_OK {
		return nil
	}
	return errors.New(C.GoString(C.dstore_error_message(failure)))
}

// build builds id on base by calling work, unless it has already been built. It returns whether it was built now.
func build(store *C.dstore_store, base *C.char, id string, work func(*C.dstore_step) error) (bool, error) {
	var step *C.dstore_step
	var failure *C.dstore_error
	name := C.CString(id)
	defer C.free(unsafe.Pointer(name))
	err := check(C.dstore_store_begin(store, base, name, 0, nil, &step, &failure), failure)
	if err != nil || step == nil {
		return false, err
	}
	defer C.dstore_step_free(step) // a step that was not committed is aborted
	if err := work(step); err != nil {
		return true, err
	}
	return true, check(C.dstore_step_commit(step, &failure), failure)
}

// run runs a command in a step.
func run(step *C.dstore_step, words ...string) error {
	var command *C.dstore_command
	var failure *C.dstore_error
	// In C memory, because C must not follow pointers stored in Go memory.
	argv := (**C.char)(C.calloc(C.size_t(len(words)), C.size_t(unsafe.Sizeof(uintptr(0)))))
	defer C.free(unsafe.Pointer(argv))
	for n, word := range words {
		place := &unsafe.Slice(argv, len(words))[n]
		*place = C.CString(word)
		defer C.free(unsafe.Pointer(*place))
	}
	if err := check(C.dstore_command_new(argv, C.size_t(len(words)), &command, &failure), failure); err != nil {
		return err
	}
	defer C.dstore_command_free(command)
	return check(C.dstore_step_run(step, command, nil, nil, nil, &failure), failure)
}

func hello(root, tar string) (bool, error) {
	var store *C.dstore_store
	var failure *C.dstore_error
	place, file, base := C.CString(root), C.CString(tar), C.CString("base")
	for _, text := range []*C.char{place, file, base} {
		defer C.free(unsafe.Pointer(text))
	}
	if err := check(C.dstore_store_open(place, nil, &store, &failure), failure); err != nil {
		return false, err
	}
	defer C.dstore_store_free(store)
	_, err := build(store, nil, "base", func(step *C.dstore_step) error {
		return check(C.dstore_step_import_file(step, file, nil, nil, &failure), failure)
	})
	if err != nil {
		return false, err
	}
	return build(store, base, "hello", func(step *C.dstore_step) error {
		return run(step, "sh", "-c", "echo hello >/hello")
	})
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: hello ROOT BASE.tar")
		os.Exit(2)
	}
	built, err := hello(os.Args[1], os.Args[2])
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case built:
		fmt.Println("built")
	default:
		fmt.Println("was there")
	}
}
