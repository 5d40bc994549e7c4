// PLUGIND_EXPORT marks what the SDK's shared library lets out; everything else in it is hidden.
#pragma once

#define PLUGIND_EXPORT __attribute__((visibility("default")))
