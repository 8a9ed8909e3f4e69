// What to do about a rejection, by its reason. The server's own message stands beside it.

const REMEDIES: Record<string, string> = {
  invalid_trace_id: 'A trace id is 16 bytes and not all zero. Most often an exporter sends ids that it made itself as text.',
  invalid_span_id: 'A span id is 8 bytes and not all zero.',
  invalid_field: 'A field has another type than OTLP says; the path names it. Most often JSON that was written by hand.',
  value_too_large: 'One value is larger than the server stores. Cut it where it is made, or put it elsewhere and keep a link.',
  too_deep: 'A value is nested deeper than the server stores. Flatten it where it is made.',
  malformed: 'The body is not what its content type says. JSON or HTTP sent to the gRPC port 4317, or gRPC sent to 4318, looks like this.',
  unsupported_media_type: 'OTLP/HTTP takes the Content-Type application/x-protobuf or application/json.',
  too_large: 'One request is larger than the limit. Lower the exporter’s batch size, for instance OTEL_BSP_MAX_EXPORT_BATCH_SIZE.',
  overloaded: 'More arrived at once than the server takes; exporters send it again by themselves. If it lasts, send fewer or smaller batches.',
  unavailable: 'The server was stopping, or its disk did not take writes; exporters send it again by themselves. See Usage for the disk.',
};

export const remedy = (reason: string): string | null => REMEDIES[reason] ?? null;
