// Which processes belong together, as /proc tells it. Any thread.
#pragma once

#include <functional>

namespace plugind {

// The first of `pid`, the leader of its session, and its ancestors, nearest first, for which `is`
// says so; 0 if none. A process that has left both its session and its parents is not found.
int FindAmongKin(int pid, const std::function<bool(int)>& is);

// Whether `pid` is `main_pid`, of its session, or a descendant of it.
bool IsPartOf(int pid, int main_pid);

}  // namespace plugind
