// Which processes belong together, as /proc tells it. Any thread.
#pragma once

#include <functional>
#include <optional>

namespace plugind {

// The first of `pid`, the leader of its session, and its ancestors, nearest first, for which `is`
// says so; 0 if none. Nothing when that cannot be told: the process is gone, its ancestors come and
// go too fast or are more than 64, or there is no fd to look with. A process that has left both its
// session and its parents is its reaper's child.
std::optional<int> FindAmongKin(int pid, const std::function<bool(int)>& is);

// Whether `pid` is `main_pid`, of its session, or a descendant of it.
bool IsPartOf(int pid, int main_pid);

}  // namespace plugind
