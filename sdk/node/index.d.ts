import type {
  ChannelOptions,
  Client,
  ClientOptions,
  GrpcObject,
  Interceptor,
  ChannelCredentials,
  ServerOptions,
  ServiceClientConstructor,
  ServiceDefinition,
} from "@grpc/grpc-js";
import type { Options as LoaderOptions } from "@grpc/proto-loader";

/** A setting that a plugin refuses. */
export interface Violation {
  /**
   * A path from the table's top: `"limits.max"`, `"servers[2].port"`. Empty: the settings as a
   * whole.
   */
  field: string;
  /** What is wrong with it, for the person who wrote it. */
  reason: string;
}

/** What onConfigure() throws to refuse settings field by field. */
export class ConfigError extends Error {
  constructor(violations: Violation[]);
  readonly violations: Violation[];
}

export type Settings = Record<string, any>;
export type Level = "trace" | "debug" | "info" | "warn" | "error";

/**
 * The service's methods by their names in the .proto. As in grpc-js they take (call, callback); one
 * that answers once may instead be async and return its answer, and what it throws is the status
 * (`code` and `details`).
 */
export type Implementation = Record<string, (call: any, callback?: any) => any>;

/** Who a plugin is to its host, and what was agreed with it. */
export interface Identity {
  /** The host's name for the plugin. */
  name: string;
  /** This process of it. */
  instance: string;
  protocolVersion: number;
  /** Agreed ones, with their versions. */
  capabilities: Record<string, string>;
  /** "plugind", and its version. */
  host: string;
  hostVersion: string;
}

/** What the host says of a plugin that this one may call. */
export interface PeerInfo {
  name: string;
  /** As `pluginctl status` says it: READY, BACKOFF, … */
  state: string;
  /** What the peer says of itself; may be empty. */
  version: string;
  services: string[];
  /** What may be called: `"*"`, or `"pkg.Service/Method"`, `"pkg.Service/*"`. */
  methods: string[];
}

/** A plugin that this one may call, through the host. */
export interface Peer {
  readonly name: string;
  /** For clients that are made by hand: `new Client(target, credentials, options)`. */
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly interceptors: Interceptor[];
  readonly options: ChannelOptions & { interceptors: Interceptor[] };
  /** A client of one of the peer's services. Keep it: it stays good while the peer restarts. */
  client(
    Service: ServiceClientConstructor | ServiceDefinition,
    options?: Partial<ClientOptions>,
  ): Client & Record<string, any>;
  client<T extends Client>(
    Service: new (...arguments_: never[]) => T,
    options?: Partial<ClientOptions>,
  ): T;
}

/**
 * One plugin process. Everything up to serve() returns the plugin itself and is called before it.
 *
 * @example
 * const { Plugin, loadProto } = require("plugind");
 * const { greeter } = loadProto(__dirname + "/greeter.proto");
 *
 * new Plugin("greeter", "1.0.0")
 *   .service(greeter.v1.Greeter, {
 *     Greet: async ({ request }) => ({ message: `Hello ${request.name}` }),
 *   })
 *   .serve();
 */
export class Plugin {
  /**
   * Name and version are what `--plugind-info` and the host's status report; the host finds the
   * plugin by its own config.
   */
  constructor(name: string, version: string);

  /** Serves a service: a class of loadProto() or grpc-js, or its definition. Call it for each. */
  service(
    definition: ServiceClientConstructor | ServiceDefinition,
    implementation: Implementation,
  ): this;
  /**
   * A capability of the application's that this plugin has. Call it again for another major
   * version. Default: "1.0".
   */
  provides(capability: string, version?: string): this;
  /** One that the host must have; without it the plugin is not started. Version "": any. */
  requires(capability: string, version?: string): this;
  /** A JSON Schema (draft 7) for the settings, as an object or as JSON. */
  configSchema(schema: object | string): this;
  /**
   * Takes the settings, at the start and whenever they change. It takes all of them or none:
   * violations (a list, or one), or a throw, refuse them, and those before stay in force.
   */
  onConfigure(
    hook: (settings: Settings, about: { generation: number }) => unknown | Promise<unknown>,
  ): this;
  /** Finishes what is done beside calls, within that many milliseconds. No new calls come. */
  onDrain(hook: (milliseconds: number) => unknown | Promise<unknown>): this;
  /**
   * Opens files and connections: runs only when a host has started the plugin. What it throws ends
   * it with exit code 1.
   */
  onStart(hook: () => unknown | Promise<unknown>): this;
  /**
   * Runs at the end, after health has turned NOT_SERVING and before running calls are waited for.
   */
  onShutdown(hook: () => unknown | Promise<unknown>): this;
  /** The magic cookie of the host. Default: PLUGIND_PLUGIN=1. */
  cookie(key: string, value: string): this;
  /**
   * An application protocol version that this plugin speaks. Call it for each; without a call it is
   * 1.
   */
  protocolVersion(version: number): this;
  /** Options of the gRPC server, e.g. `{ "grpc.max_receive_message_length": -1 }`. */
  serverOptions(options: ServerOptions): this;
  /** How long running calls may take to end before they are cancelled. Default: 5000 ms. */
  shutdownTimeout(milliseconds: number): this;

  /**
   * Serves until the host ends the plugin or dies; then the process ends: with 0 when it was asked
   * to, with 1 when it could not serve or was run by hand. `--plugind-info` prints what it is and
   * ends with 0.
   */
  serve(): Promise<never>;

  /**
   * The agreed version of a capability; undefined if it is not agreed, or the host knows nothing of
   * capabilities.
   */
  agreed(capability: string): string | undefined;
  /** The settings in force. Not to be changed. */
  settings(): Settings;
  /**
   * A peer by its name, whether or not it runs just now. Throws under hosts that have no peers.
   * A call that is made for one that is being served carries on its `traceparent` and `tracestate`,
   * unless its metadata has a traceparent.
   */
  peer(name: string): Peer;
  /**
   * The plugins that this one may call, in order of name. Asks the host, for 2 s at most; rejects
   * with the gRPC status, and under hosts that have no peers.
   */
  peers(): Promise<PeerInfo[]>;
  /** Who this plugin is to its host. Asks it, and rejects, as peers() does. */
  identity(): Promise<Identity>;
  /** A line in `pluginctl status`, until the next one. At most 1,024 bytes. */
  setStatus(text: string): Promise<void>;
  /** Whether calls may be sent here. While false, nothing is routed here and nobody kills it. */
  setServing(serving: boolean): void;
  /** A line of the host's log. */
  log(level: Level, message: string, fields?: Record<string, unknown>): void;
  /** Ends the plugin in the same orderly way as SIGTERM does. Returns at once. */
  stop(): void;
}

/** A line of the host's log, with level and fields, from anywhere. */
export function log(level: Level, message: string, fields?: Record<string, unknown>): void;

/**
 * The packages of a .proto file as grpc-js's service classes, e.g. `loadProto(__dirname +
 * "/greeter.proto").greeter.v1.Greeter`. Fields are camelCase, 64-bit numbers and enums are
 * strings, unless the options of @grpc/proto-loader say otherwise.
 */
export function loadProto(
  file: string | URL,
  options?: LoaderOptions,
): GrpcObject & Record<string, any>;
