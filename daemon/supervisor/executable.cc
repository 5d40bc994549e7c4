#include "daemon/supervisor/executable.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace plugind::supervisor {
namespace {

constexpr size_t kHeaderBytes = 4096;  // an ELF header with its program headers, or a "#!" line

std::string ReadHeader(int fd) {
  std::string header(kHeaderBytes, '\0');
  const ssize_t size = ::pread(fd, header.data(), header.size(), 0);
  header.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return header;
}

bool IsScript(std::string_view header) { return header.starts_with("#!"); }
bool IsElf(std::string_view header) {
  return header.size() >= sizeof(Elf64_Ehdr) &&
         header.starts_with(std::string_view(ELFMAG, SELFMAG));
}

std::string_view MachineName(uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_386:
      return "i386";
    case EM_AARCH64:
      return "aarch64";
    case EM_ARM:
      return "arm";
    case EM_RISCV:
      return "riscv";
    case EM_PPC64:
      return "ppc64";
    case EM_S390:
      return "s390";
    default:
      return "";
  }
}

uint16_t OwnMachine() {
#if defined(__x86_64__)
  return EM_X86_64;
#elif defined(__aarch64__)
  return EM_AARCH64;
#else
  return EM_NONE;
#endif
}

// The program that the kernel loads to run this one: a script's "#!" or an ELF's PT_INTERP.
std::string Interpreter(std::string_view header) {
  if (IsScript(header)) {
    std::string_view line =
        header.substr(2, header.find('\n') == std::string_view::npos ? std::string_view::npos
                                                                     : header.find('\n') - 2);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    return std::string(line.substr(0, line.find_first_of(" \t\r")));
  }
  if (!IsElf(header) || header[EI_CLASS] != ELFCLASS64) return "";
  Elf64_Ehdr elf;
  std::memcpy(&elf, header.data(), sizeof elf);
  if (elf.e_phoff > header.size()) return "";  // and so no sum below wraps around
  for (size_t i = 0; i < elf.e_phnum; ++i) {
    const size_t at = elf.e_phoff + i * sizeof(Elf64_Phdr);
    if (at + sizeof(Elf64_Phdr) > header.size()) break;
    Elf64_Phdr program;
    std::memcpy(&program, header.data() + at, sizeof program);
    if (program.p_type != PT_INTERP || program.p_offset >= header.size()) continue;
    const auto text = header.substr(program.p_offset, program.p_filesz);
    return std::string(text.substr(0, text.find('\0')));
  }
  return "";
}

bool OnNoexecMount(const std::string& path) {
  struct statvfs mount {};
  return ::statvfs(path.c_str(), &mount) == 0 && (mount.f_flag & ST_NOEXEC) != 0;
}

std::string DescribeMissing(const std::string& path, std::string_view header) {
  if (::access(path.c_str(), F_OK) < 0) return "no such file";
  const std::string interpreter = Interpreter(header);
  if (interpreter.empty()) return "no such file";
  return fmt::format("no such interpreter: {} (named by {})", interpreter,
                     IsScript(header) ? "its #! line" : "the ELF file");
}

std::string DescribeFormat(std::string_view header) {
  if (IsElf(header)) {
    uint16_t machine = 0;
    std::memcpy(&machine, header.data() + offsetof(Elf64_Ehdr, e_machine), sizeof machine);
    if (machine != OwnMachine()) {
      const std::string_view name = MachineName(machine);
      return name.empty()
                 ? fmt::format("exec format error (this is an ELF binary for machine {})", machine)
                 : fmt::format("exec format error (this is an {} binary)", name);
    }
    return "exec format error (a damaged ELF binary)";
  }
  if (header.empty()) return "exec format error (the file is empty)";
  return "exec format error (neither a binary of this machine nor a script that begins with #!)";
}

std::string DescribeDenied(const std::string& path, std::string_view header) {
  if (OnNoexecMount(path)) return "permission denied: it lies on a noexec mount";
  const std::string interpreter = Interpreter(header);
  if (!interpreter.empty() && ::access(interpreter.c_str(), X_OK) < 0 &&
      ::access(path.c_str(), X_OK) == 0) {
    return fmt::format("permission denied on its interpreter {}", interpreter);
  }
  struct stat file {};
  if (::stat(path.c_str(), &file) == 0) {
    if (S_ISDIR(file.st_mode)) return "it is a directory";
    if ((file.st_mode & 0111U) == 0) return "permission denied: it is not executable (chmod +x)";
  }
  return "permission denied";
}

}  // namespace

absl::StatusOr<UniqueFd> OpenExecutable(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    const int error = errno;
    if (error == EACCES && ::access(path.c_str(), X_OK) == 0)
      return UniqueFd();  // --x--x--x: by path
    const auto code = error == ENOENT || error == ENOTDIR ? absl::StatusCode::kNotFound
                      : error == EACCES || error == ELOOP ? absl::StatusCode::kFailedPrecondition
                                                          : absl::StatusCode::kUnavailable;
    return Error(code, "cannot execute {}: {}", path, DescribeExecError(path, error));
  }
  struct stat file {};
  if (::fstat(fd.get(), &file) < 0)
    return ErrnoError(errno, fmt::format("cannot look at {}", path));
  if (!S_ISREG(file.st_mode) || (file.st_mode & 0111U) == 0 || OnNoexecMount(path)) {
    return Error(absl::StatusCode::kFailedPrecondition, "cannot execute {}: {}", path,
                 S_ISREG(file.st_mode) || S_ISDIR(file.st_mode) ? DescribeExecError(path, EACCES)
                                                                : "it is not a regular file");
  }
  if (IsScript(ReadHeader(fd.get()))) return UniqueFd();
  return fd;
}

std::string DescribeExecError(const std::string& path, int error) {
  std::string header;
  if (const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)); fd.valid()) {
    header = ReadHeader(fd.get());
  }
  switch (error) {
    case ENOENT:
      return DescribeMissing(path, header);
    case ENOEXEC:
      return DescribeFormat(header);
    case EACCES:
      return DescribeDenied(path, header);
    case ETXTBSY:
      return "text file busy: it is open for writing";
    case E2BIG:
      return "its arguments and environment are too long";
    default:
      return std::strerror(error);
  }
}

}  // namespace plugind::supervisor
