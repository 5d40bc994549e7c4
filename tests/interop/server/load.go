package main

import (
	"time"

	orcadata "github.com/cncf/xds/go/xds/data/orca/v3"
	orcaservice "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/orca"
)

// load reports what the case orca_oob has put into the recorder. The package orca's own service does so every 30 s at
// most; only gRPC's own programs can lower that.
type load struct {
	orcaservice.UnimplementedOpenRcaServiceServer
	recorder orca.ServerMetricsRecorder
}

func (l *load) StreamCoreMetrics(
	request *orcaservice.OrcaLoadReportRequest,
	stream grpc.ServerStreamingServer[orcadata.OrcaLoadReport],
) error {
	ticker := time.NewTicker(max(request.GetReportInterval().AsDuration(), time.Millisecond))
	defer ticker.Stop()
	for {
		if err := stream.Send(l.report()); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-ticker.C:
		}
	}
}

func (l *load) report() *orcadata.OrcaLoadReport {
	now := l.recorder.(orca.ServerMetricsProvider).ServerMetrics()
	// Negative: nobody has set it.
	return &orcadata.OrcaLoadReport{
		CpuUtilization: max(now.CPUUtilization, 0),
		MemUtilization: max(now.MemUtilization, 0),
		Utilization:    now.Utilization,
	}
}
