package clock;

import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import java.time.Duration;

/** Counts the calls that are running, so that the end can wait for them and for nothing else. */
final class RunningCalls implements ServerInterceptor {
  private int running;

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    add(1);
    // Of these two exactly one comes, at the end of every call.
    return new SimpleForwardingServerCallListener<>(next.startCall(call, headers)) {
      @Override
      public void onComplete() {
        add(-1);
        super.onComplete();
      }

      @Override
      public void onCancel() {
        add(-1);
        super.onCancel();
      }
    };
  }

  /** Returns when no call is running, or when the time is up. */
  synchronized void awaitNone(Duration most) {
    long deadline = System.nanoTime() + most.toNanos();
    try {
      for (long left = most.toMillis(); running > 0 && left > 0; ) {
        wait(left);
        left = Duration.ofNanos(deadline - System.nanoTime()).toMillis();
      }
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized void add(int calls) {
    running += calls;
    notifyAll();
  }
}
