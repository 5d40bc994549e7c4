#include "daemon/supervisor/executable.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon/supervisor/testing/temp_dir.h"

namespace plugind::supervisor {
namespace {

// What the kernel itself says to this file: execve's errno, or 0 when it ran and exited with 0.
int ExecError(const std::string& path) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return -1;
  const UniqueFd reader(pipe_fds[0]);
  UniqueFd writer(pipe_fds[1]);
  std::string copy = path;
  char* const argv[] = {copy.data(), nullptr};
  char* const env[] = {nullptr};
  const pid_t child = ::fork();
  if (child == 0) {
    ::execve(argv[0], argv, env);
    const int error = errno;
    (void)!::write(writer.get(), &error, sizeof error);
    ::_exit(127);
  }
  writer.reset();
  int error = 0;
  (void)!::read(reader.get(), &error, sizeof error);
  ::waitpid(child, nullptr, 0);
  return error;
}

std::string ElfFor(uint16_t machine) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = machine;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.resize(4096);
  return bytes;
}

uint16_t ForeignMachine() {
#if defined(__aarch64__)
  return EM_X86_64;
#else
  return EM_AARCH64;
#endif
}

uint16_t OwnMachine() {
#if defined(__aarch64__)
  return EM_AARCH64;
#else
  return EM_X86_64;
#endif
}

// A binary whose dynamic loader does not exist: that of another C library, say.
std::string ElfWithInterpreter(const std::string& interpreter) {
  std::string bytes = ElfFor(OwnMachine());
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.e_phoff = sizeof header;
  header.e_phnum = 1;
  Elf64_Phdr program{};
  program.p_type = PT_INTERP;
  program.p_offset = 1024;
  program.p_filesz = interpreter.size() + 1;
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, &program, sizeof program);
  std::memcpy(bytes.data() + 1024, interpreter.c_str(), interpreter.size() + 1);
  return bytes;
}

void ExpectRefused(const std::string& path, absl::StatusCode code, const std::string& says) {
  const auto opened = OpenExecutable(path);
  ASSERT_FALSE(opened.ok()) << path;
  EXPECT_EQ(opened.status().code(), code) << opened.status();
  EXPECT_EQ(Message(opened.status()), "cannot execute " + path + ": " + says);
}

TEST(OpenExecutableTest, ABinaryIsOpenedSoThatWhatWasLookedAtIsWhatRuns) {
  const auto opened = OpenExecutable("/proc/self/exe");
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE(opened->valid());
  EXPECT_NE(::fcntl(opened->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(OpenExecutableTest, AScriptIsLeftToBeOpenedByPath) {
  const TempDir dir;
  const auto opened = OpenExecutable(dir.Write("script", "#!/bin/sh\nexit 0\n", 0700));
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_FALSE(opened->valid());
}

TEST(OpenExecutableTest, AMissingFileIsNamed) {
  const TempDir dir;
  ExpectRefused(dir.Path("nowhere"), absl::StatusCode::kNotFound, "no such file");
  ExpectRefused(dir.Path("no/where"), absl::StatusCode::kNotFound, "no such file");
}

TEST(OpenExecutableTest, AFileForAFolderIsNotFound) {
  const TempDir dir;
  dir.Write("file", "text");
  ExpectRefused(dir.Path("file/plugin"), absl::StatusCode::kNotFound, "Not a directory");
}

TEST(OpenExecutableTest, ADirectoryIsNamedAsOne) {
  const TempDir dir;
  ExpectRefused(dir.path(), absl::StatusCode::kFailedPrecondition, "it is a directory");
}

TEST(OpenExecutableTest, AFileThatIsNotExecutableSaysWhatToDo) {
  const TempDir dir;
  ExpectRefused(dir.Write("plugin", "#!/bin/sh\n", 0600), absl::StatusCode::kFailedPrecondition,
                "permission denied: it is not executable (chmod +x)");
}

TEST(OpenExecutableTest, AFifoIsNoRegularFileAndDoesNotBlock) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo(dir.Path("fifo").c_str(), 0700), 0);
  ExpectRefused(dir.Path("fifo"), absl::StatusCode::kFailedPrecondition,
                "it is not a regular file");
}

TEST(OpenExecutableTest, ALinkInALoopIsRefusedForGood) {
  const TempDir dir;
  std::filesystem::create_symlink(dir.Path("a"), dir.Path("b"));
  std::filesystem::create_symlink(dir.Path("b"), dir.Path("a"));
  EXPECT_EQ(OpenExecutable(dir.Path("a")).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(OpenExecutableTest, ANoexecMountIsNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting a noexec tmpfs takes root";
  const TempDir dir;
  if (::mount("plugind-test", dir.path().c_str(), "tmpfs", MS_NOEXEC, "size=64k") != 0) {
    GTEST_SKIP() << "this environment does not let root mount a tmpfs: " << std::strerror(errno);
  }
  const std::string script = dir.Write("plugin", "#!/bin/sh\nexit 0\n", 0755);
  ExpectRefused(script, absl::StatusCode::kFailedPrecondition,
                "permission denied: it lies on a noexec mount");
  EXPECT_EQ(ExecError(script), EACCES);
  EXPECT_EQ(DescribeExecError(script, EACCES), "permission denied: it lies on a noexec mount");
  EXPECT_EQ(::umount(dir.path().c_str()), 0);
}

struct ExecCase {
  std::string name;
  std::string bytes;
  int error;
  std::string says;
};

TEST(DescribeExecErrorTest, NamesTheCauseThatTheKernelMeant) {
  const TempDir dir;
  const std::string not_executable = dir.Write("interpreter", "", 0600);
  const std::vector<ExecCase> cases = {
      {"no-interpreter", "#!/no/such\n", ENOENT,
       "no such interpreter: /no/such (named by its #! line)"},
      {"no-interpreter-with-argument", "#! \t/no/such -u x\n", ENOENT,
       "no such interpreter: /no/such (named by its #! line)"},
      {"windows-line-end", "#!/no/such\r\n", ENOENT,
       "no such interpreter: /no/such (named by its #! line)"},
      {"no-newline", "#!/no/such", ENOENT, "no such interpreter: /no/such (named by its #! line)"},
      {"no-loader", ElfWithInterpreter("/lib/ld-other.so.1"), ENOENT,
       "no such interpreter: /lib/ld-other.so.1 (named by the ELF file)"},
      {"foreign", ElfFor(ForeignMachine()), ENOEXEC,
       ForeignMachine() == EM_AARCH64 ? "exec format error (this is an aarch64 binary)"
                                      : "exec format error (this is an x86-64 binary)"},
      {"riscv", ElfFor(EM_RISCV), ENOEXEC, "exec format error (this is an riscv binary)"},
      {"strange", ElfFor(4242), ENOEXEC,
       "exec format error (this is an ELF binary for machine 4242)"},
      {"empty", "", ENOEXEC, "exec format error (the file is empty)"},
      {"text", "hello\n", ENOEXEC,
       "exec format error (neither a binary of this machine nor a script that begins with #!)"},
      {"cut-short", std::string(ELFMAG, SELFMAG), ENOEXEC,
       "exec format error (neither a binary of this machine nor a script that begins with #!)"},
      {"damaged", ElfFor(OwnMachine()), ENOEXEC, "exec format error (a damaged ELF binary)"},
      {"interpreter-not-executable", "#!" + not_executable + "\n", EACCES,
       "permission denied on its interpreter " + not_executable},
  };
  for (const ExecCase& test : cases) {
    const std::string path = dir.Write(test.name, test.bytes, 0755);
    EXPECT_EQ(ExecError(path), test.error) << test.name << ": the kernel's own answer";
    EXPECT_EQ(DescribeExecError(path, test.error), test.says) << test.name;
  }
}

TEST(DescribeExecErrorTest, AFileThatIsOpenForWritingIsBusy) {
  const TempDir dir;
  const std::string path = dir.Write("plugin", "", 0755);
  std::filesystem::copy_file("/bin/true", path, std::filesystem::copy_options::overwrite_existing);
  const UniqueFd writing(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(writing.valid());
  EXPECT_EQ(ExecError(path), ETXTBSY);
  EXPECT_EQ(DescribeExecError(path, ETXTBSY), "text file busy: it is open for writing");
}

TEST(DescribeExecErrorTest, FilesMadeToConfuseAreSurvived) {
  const TempDir dir;
  std::string wild = ElfWithInterpreter("/lib/ld.so");
  Elf64_Ehdr header;
  std::memcpy(&header, wild.data(), sizeof header);
  for (const uint64_t offset : {UINT64_MAX, UINT64_MAX - 63, uint64_t{4090}, uint64_t{1} << 62U}) {
    header.e_phoff = offset;
    header.e_phnum = 0xffff;
    std::memcpy(wild.data(), &header, sizeof header);
    const std::string path = dir.Write("wild", wild, 0755);
    EXPECT_FALSE(DescribeExecError(path, ENOENT).empty());
  }
  std::string program_outside = ElfWithInterpreter("/lib/ld.so");
  Elf64_Phdr program;
  std::memcpy(&program, program_outside.data() + sizeof header, sizeof program);
  program.p_offset = UINT64_MAX;
  program.p_filesz = UINT64_MAX;
  std::memcpy(program_outside.data() + sizeof header, &program, sizeof program);
  EXPECT_EQ(DescribeExecError(dir.Write("outside", program_outside, 0755), ENOENT), "no such file");
  EXPECT_EQ(DescribeExecError(dir.Write("hash-bang-only", "#!", 0755), ENOENT), "no such file");
  EXPECT_EQ(DescribeExecError(dir.Write("hash-bang-spaces", "#!   \n", 0755), ENOENT),
            "no such file");
}

TEST(DescribeExecErrorTest, AnyOtherErrorKeepsItsOwnName) {
  const TempDir dir;
  const std::string path = dir.Write("plugin", "#!/bin/sh\n", 0755);
  EXPECT_EQ(DescribeExecError(path, E2BIG), "its arguments and environment are too long");
  EXPECT_EQ(DescribeExecError(path, ENOMEM), std::strerror(ENOMEM));
}

}  // namespace
}  // namespace plugind::supervisor
