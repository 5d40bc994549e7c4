package clock;

import io.grpc.Server;
import io.grpc.ServerInterceptors;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import io.grpc.protobuf.services.HealthStatusManager;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * floor-java: a plugin in Java on plain grpc-java, with none of plugind's code.
 *
 * <p>It does what sdk/README.md asks of a plugin in any language, and no more:
 *
 * <ol>
 *   <li>check the magic cookie, so that whoever runs it by hand learns what it is;
 *   <li>choose a protocol version that the host offers;
 *   <li>serve gRPC, and grpc.health.v1, on a Unix socket in PLUGIN_UNIX_SOCKET_DIR;
 *   <li>print one line that says where, as soon as it listens;
 *   <li>end on SIGTERM: health first, then the running calls, then the process with 0.
 * </ol>
 *
 * <p>What it prints on stderr becomes plugind's log. {@code plugins.d/clock.toml} needs one line: {@code command =
 * ["/usr/lib/plugind/plugins/floor-java/floor-java"]}.
 */
public final class Main {
  /** The versions of the application's protocol that this plugin speaks, the lowest first. */
  private static final List<Integer> PROTOCOL_VERSIONS = List.of(1);

  /** How long running calls may take once the plugin is told to end. */
  private static final Duration LAST_CALLS = Duration.ofSeconds(5);

  private Main() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    if (!"1".equals(System.getenv("PLUGIND_PLUGIN"))) {
      System.err.println(
          """
          floor-java is a plugin: plugind starts it and calls it over gRPC. To run it, name it
          in plugins.d/clock.toml beside plugind.toml, then: pluginctl reload""");
      System.exit(1);
    }

    Path path = socketPath();
    HealthStatusManager health = new HealthStatusManager();
    // Hosts ask for "plugin" or for "", which HealthStatusManager knows by itself.
    health.setStatus("plugin", ServingStatus.SERVING);
    RunningCalls calls = new RunningCalls();
    Server server =
        NettyServerBuilder.forAddress(new DomainSocketAddress(path.toFile()))
            .channelType(EpollServerDomainSocketChannel.class)
            .bossEventLoopGroup(new EpollEventLoopGroup(1))
            .workerEventLoopGroup(new EpollEventLoopGroup(1))
            .addService(health.getHealthService())
            .addService(ServerInterceptors.intercept(new ClockService(), calls))
            .build()
            .start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> end(server, health, calls, path)));

    // Only now, because the host connects as soon as it reads this; one write, and flushed.
    System.out.print("1|" + protocolVersion() + "|unix|" + path + "|grpc\n");
    System.out.flush();
    server.awaitTermination();
  }

  /** SIGTERM runs this. */
  private static void end(
      Server server, HealthStatusManager health, RunningCalls calls, Path path) {
    health.enterTerminalState();
    server.shutdown();
    // Not until the server has terminated: whoever watches our health may do so for ever.
    calls.awaitNone(LAST_CALLS);
    server.shutdownNow();
    try {
      Files.deleteIfExists(path);
    } catch (IOException error) {
      System.err.println("floor-java: " + error);
    }
    // The JVM's own code after SIGTERM would be 143, which is no orderly end.
    Runtime.getRuntime().halt(0);
  }

  /** The highest version that both sides have. Without one the lowest of ours: the host then says what is wrong. */
  private static int protocolVersion() {
    String offered = Objects.requireNonNullElse(System.getenv("PLUGIN_PROTOCOL_VERSIONS"), "");
    return Arrays.stream(offered.split(","))
        .map(String::trim)
        .filter(version -> version.matches("\\d{1,9}"))
        .map(Integer::valueOf)
        .filter(PROTOCOL_VERSIONS::contains)
        .max(Integer::compare)
        .orElse(PROTOCOL_VERSIONS.get(0));
  }

  /** plugind's directory is this process's own; in another one the name must be free. */
  private static Path socketPath() {
    String directory = System.getenv("PLUGIN_UNIX_SOCKET_DIR");
    String name = "clock-" + ProcessHandle.current().pid() + ".sock";
    return Path.of(Objects.requireNonNullElse(directory, "/tmp"), name).toAbsolutePath();
  }
}
