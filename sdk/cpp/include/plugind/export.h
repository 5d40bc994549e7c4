// PLUGIND_EXPORT marks what the SDK's shared library lets out; everything else in it is hidden, and
// PLUGIND_LOCAL what would otherwise come out with its class.
//
// Example:
//   #include <plugind/export.h>
//
//   class PLUGIND_EXPORT Public {
//     struct PLUGIND_LOCAL Inside;
//   };
#pragma once

#define PLUGIND_EXPORT __attribute__((visibility("default")))
#define PLUGIND_LOCAL __attribute__((visibility("hidden")))
