#include <plugind/plugin.h>

#include "hello.h"

int main(int argc, char** argv) {
  Hello hello;
  return plugind::Plugin("hello", "1.0.0").service(&hello).serve(argc, argv);
}
