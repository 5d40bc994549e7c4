// The keywords of JSON Schema, draft 7, and what each of them makes of a Node. Those that assert
// nothing (title, format, a word that no draft has) are passed over; those of later drafts are
// refused.
#pragma once

#include "daemon/config/schema_compile.h"

namespace plugind::config::schema {

// compiler->Source(id) into compiler->At(id). Throws Refused.
void ReadSubschema(NodeId id, Compiler* compiler);

}  // namespace plugind::config::schema
