// Allocates seats with the stubs that Go's own tools make of the `.proto`: a request as JSON on each line of standard input, an answer on each
// of standard output.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	allocator "interlock/seatallocator/v1"
)

const timeout = 20 * time.Second

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := allocator.NewSeatAllocatorClient(connection)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var request allocator.AllocateSeatRequest
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			log.Fatal(err)
		}
		say(allocate(client, &request))
	}
}

func allocate(client allocator.SeatAllocatorClient, request *allocator.AllocateSeatRequest) map[string]string {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	response, err := client.AllocateSeat(ctx, request)
	if err != nil {
		refused := status.Convert(err)
		return map[string]string{"code": name(refused), "message": refused.Message()}
	}
	return map[string]string{"seat_no": response.GetSeatNo()}
}

// As the other client names it.
func name(refused *status.Status) string {
	names := map[string]string{
		"InvalidArgument":    "INVALID_ARGUMENT",
		"NotFound":           "NOT_FOUND",
		"ResourceExhausted":  "RESOURCE_EXHAUSTED",
		"FailedPrecondition": "FAILED_PRECONDITION",
	}
	if name, found := names[refused.Code().String()]; found {
		return name
	}
	return refused.Code().String()
}

func say(answer map[string]string) {
	line, err := json.Marshal(answer)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
}
