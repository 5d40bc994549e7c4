package clock;

import clock.v1.ClockGrpc;
import clock.v1.NowRequest;
import clock.v1.NowResponse;
import clock.v1.TickRequest;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;

/** The service itself, which knows nothing of plugins. */
final class ClockService extends ClockGrpc.ClockImplBase {
  private static final int MOST = 10_000; // ticks, and milliseconds between two

  @Override
  public void now(NowRequest request, StreamObserver<NowResponse> answer) {
    try {
      answer.onNext(timeIn(request.getZone()));
      answer.onCompleted();
    } catch (DateTimeException error) {
      answer.onError(Status.INVALID_ARGUMENT.withDescription(error.getMessage()).asException());
    }
  }

  @Override
  public void tick(TickRequest request, StreamObserver<NowResponse> answer) {
    if (Integer.compareUnsigned(request.getCount(), MOST) > 0
        || Integer.compareUnsigned(request.getIntervalMs(), MOST) > 0) {
      String why = "count and interval_ms are at most " + MOST;
      answer.onError(Status.INVALID_ARGUMENT.withDescription(why).asException());
      return;
    }
    ServerCallStreamObserver<NowResponse> call = (ServerCallStreamObserver<NowResponse>) answer;
    try {
      for (int i = 0; i < request.getCount() && !call.isCancelled(); i++) {
        if (i > 0) Thread.sleep(request.getIntervalMs());
        call.onNext(timeIn(request.getZone()));
      }
      call.onCompleted();
    } catch (DateTimeException error) {
      call.onError(Status.INVALID_ARGUMENT.withDescription(error.getMessage()).asException());
    } catch (InterruptedException error) {
      call.onError(Status.UNAVAILABLE.withDescription("the clock is stopping").asException());
    }
  }

  private static NowResponse timeIn(String zone) {
    Instant now = Instant.now();
    ZoneId id = ZoneId.of(zone.isEmpty() ? "UTC" : zone);
    return NowResponse.newBuilder()
        .setUnixMs(now.toEpochMilli())
        .setText(DateTimeFormatter.ISO_OFFSET_DATE_TIME.format(now.atZone(id)))
        .build();
  }
}
