// A client of Arrow Flight that knows nothing of linkd: writes a link, reads it, and tells what it saw as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const rows = 100_000

type report struct {
	Acked   string   `json:"acked"`
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
	Sum     int64    `json:"sum"`
	Links   []string `json:"links"`
	Refused string   `json:"refused"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	ctx := context.Background()
	client, err := flight.NewClientWithMiddleware(os.Args[1], nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer client.Close()
	var told report
	told.Acked = write(ctx, client)
	read(ctx, client, &told)
	flights, err := client.ListFlights(ctx, &flight.Criteria{})
	check(err)
	for info, err := flights.Recv(); err == nil; info, err = flights.Recv() {
		told.Links = append(told.Links, info.FlightDescriptor.Path...)
	}
	stream, err := client.DoGet(ctx, &flight.Ticket{Ticket: []byte("nothing")})
	check(err)
	_, err = stream.Recv()
	told.Refused = status.Code(err).String()
	check(json.NewEncoder(os.Stdout).Encode(told))
}

// write publishes one batch and returns what it was answered.
func write(ctx context.Context, client flight.Client) string {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "text", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	for n := range int64(rows) {
		builder.Field(0).(*array.Int64Builder).Append(n)
		builder.Field(1).(*array.StringBuilder).AppendNull()
	}
	batch := builder.NewRecord()
	defer batch.Release()
	stream, err := client.DoPut(ctx)
	check(err)
	writer := flight.NewRecordWriter(stream, ipc.WithSchema(schema))
	writer.SetFlightDescriptor(&flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: []string{"events"}})
	check(writer.Write(batch))
	check(writer.Close())
	check(stream.CloseSend())
	answer, err := stream.Recv()
	check(err)
	return string(answer.AppMetadata)
}

// read adds up the numbers of the link.
func read(ctx context.Context, client flight.Client, told *report) {
	stream, err := client.DoGet(ctx, &flight.Ticket{Ticket: []byte("events")})
	check(err)
	reader, err := flight.NewRecordReader(stream)
	check(err)
	defer reader.Release()
	for _, field := range reader.Schema().Fields() {
		told.Columns = append(told.Columns, field.Name)
	}
	for reader.Next() {
		batch := reader.Record()
		told.Rows += batch.NumRows()
		for _, n := range batch.Column(0).(*array.Int64).Int64Values() {
			told.Sum += n
		}
	}
	check(reader.Err())
}
