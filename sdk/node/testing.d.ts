import type {
  Client,
  ServiceClientConstructor,
  ServiceDefinition,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Plugin, Violation } from "plugind";

export interface FakeHostOptions {
  /** What Configure hands over first. Default: no settings. */
  settings?: Record<string, unknown>;
  /** What the host offers beside its own capabilities: `{ "greeter.emoji": "1.0" }`. */
  capabilities?: Record<string, string | string[]>;
  /**
   * The plugin's peers: `{ kv: [kv.v1.KV, { Get: … }] }`. Their methods take (call, callback), as
   * in grpc-js.
   */
  peers?: Record<
    string,
    [ServiceClientConstructor | ServiceDefinition, UntypedServiceImplementation]
  >;
}

/**
 * A host in the test's own process: it connects over a real socket, negotiates and configures as
 * plugind does, and stands for the plugin's peers. It does not start a process, restart, check a
 * schema or authorise.
 *
 * @example
 * const host = await FakeHost.start(plugin, { settings: { greeting: "Ahoy" } });
 * const greeter = host.client(greeter.v1.Greeter);
 * // … calls …
 * const refused = [{ field: "greeting", reason: "must be a text" }];
 * assert.deepEqual(await host.configure({ greeting: 7 }), refused);
 * await host.stop();
 */
export class FakeHost {
  /** Rejects if the plugin refuses its settings, or requires what the host lacks. */
  static start(plugin: Plugin, options?: FakeHostOptions): Promise<FakeHost>;
  /** What was agreed, with its version. */
  readonly agreed: Record<string, string>;
  /** What the plugin has last said with setStatus(). */
  readonly status: string;
  /** A client of one of the plugin's services. It is closed by stop(). */
  client(Service: ServiceClientConstructor | ServiceDefinition): Client & Record<string, any>;
  client<T extends Client>(Service: new (...arguments_: never[]) => T): T;
  /**
   * Hands over other settings. Resolves to the plugin's violations: none when they are in force.
   */
  configure(settings: Record<string, unknown>): Promise<Violation[]>;
  /** Resolves when the plugin has drained. */
  drain(milliseconds?: number): Promise<void>;
  /** Asks the plugin to end, as a host does, and waits until it has. */
  shutdown(): Promise<void>;
  /** The end of the test: everything is closed and removed. */
  stop(): Promise<void>;
}
