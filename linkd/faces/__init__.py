"""How programs meet links: decode, call the home, encode. Nothing is decided here.

`grpc_server` binds and drains; `links` and `runs` are the two services of `linkd.v1`, `flight` is Arrow's
FlightService, whose commands of Flight SQL `flight_sql` answers; `call` knows who calls and how errors travel.
"""
