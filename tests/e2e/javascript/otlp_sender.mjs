// Sends a trace, a log record and metrics by OpenTelemetry's JavaScript SDK, and prints the id of the trace.
// Arguments: the protocol (`http` for JSON, `proto` for protobuf) and the base URL of the receiver.

import { context, trace, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

const [protocol, url] = process.argv.slice(2);
const exporters = (signal) => import(`@opentelemetry/exporter-${signal}-otlp-${protocol}`);
const { OTLPTraceExporter } = await exporters('trace');
const { OTLPLogExporter } = await exporters('logs');
const { OTLPMetricExporter } = await exporters('metrics');
const options = (signal) => ({ url: `${url}/v1/${signal}`, compression: 'gzip' });

const resource = resourceFromAttributes({ 'service.name': `node-${protocol}`, 'service.version': '2.0.0' });
const traces = new BasicTracerProvider({
  resource,
  spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter(options('traces')))],
});
const logs = new LoggerProvider({
  resource,
  processors: [new SimpleLogRecordProcessor({ exporter: new OTLPLogExporter(options('logs')) })],
});
const metrics = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(options('metrics')) })],
});

const tracer = traces.getTracer('sender', '1.0');
const root = tracer.startSpan('POST /orders', {
  kind: SpanKind.SERVER,
  attributes: { text: 'ünïcode', whole: 42, real: 0.5, yes: true, list: ['a', 'b'] },
});
const inner = tracer.startSpan('charge', { kind: SpanKind.CLIENT }, trace.setSpan(context.active(), root));
inner.recordException(new TypeError('card declined'));
inner.setStatus({ code: SpanStatusCode.ERROR, message: 'card declined' });
inner.end();
root.end();
logs.getLogger('app').emit({
  severityNumber: 17,
  severityText: 'ERROR',
  body: 'order failed',
  attributes: { order: 7 },
  context: trace.setSpan(context.active(), inner),
});
const meter = metrics.getMeter('measures');
meter.createCounter('orders', { unit: '{order}' }).add(3, { route: '/orders' });
meter.createHistogram('latency', { unit: 's' }).record(1.5);
meter.createGauge('level').record(0.25);
await Promise.all([traces.forceFlush(), logs.forceFlush(), metrics.forceFlush()]);
await Promise.all([traces.shutdown(), logs.shutdown(), metrics.shutdown()]);
console.log(root.spanContext().traceId);
