"""Traces: what one request did, layer by layer, sent to a collector while nobody waits for it.

- `context.py` W3C trace context: which trace a request belongs to (pure)
- `spans.py` one span: a piece of work with a beginning, an end and attributes
- `tracer.py` begins spans, decides which traces are recorded
- `layers.py` the wrappers that put a span around each layer of the proxy
- `protobuf.py`, `otlp.py`, `cloud_trace.py` spans as bytes (pure)
- `exporter.py` the bounded queue between the two halves
- `otlp_http.py`, `otlp_grpc.py`, `cloud_channel.py` the three ways out
- `endpoints.py` which of them a setting means (pure)

Nothing here is imported unless `TraceExporter` is set, and gRPC only where it is spoken.
"""
