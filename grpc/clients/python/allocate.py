"""Allocates seats with the stubs that Python's own tools make of the `.proto`.

    allocate.py ADDRESS              a request as JSON on each line of standard input, an answer on each of standard output
    allocate.py ADDRESS health       what the server says of its health, of itself and of the service
    allocate.py ADDRESS services     the services that it tells by reflection
"""

import json
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from seatallocator.v1 import seat_allocator_pb2, seat_allocator_pb2_grpc

TIMEOUT_SECS = 20


def say(answer):
    print(json.dumps(answer), flush=True)


def allocate(channel):
    stub = seat_allocator_pb2_grpc.SeatAllocatorStub(channel)
    for line in sys.stdin:
        try:
            request = seat_allocator_pb2.AllocateSeatRequest(**json.loads(line))
            say({"seat_no": stub.AllocateSeat(request, timeout=TIMEOUT_SECS).seat_no})
        except grpc.RpcError as error:
            say({"code": error.code().name, "message": error.details()})


def health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ["", "seatallocator.v1.SeatAllocator"]:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_SECS)
        say({"service": service, "status": health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)})


def services(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    say({"services": sorted(database.get_services())})
    file = database.FindFileContainingSymbol("seatallocator.v1.AllocateSeatRequest")
    say({"fields": {field.name: field.number for field in file.message_type[0].field}})


def main():
    what = {"health": health, "services": services}.get((sys.argv + [""])[2], allocate)
    with grpc.insecure_channel(sys.argv[1]) as channel:
        what(channel)


main()
