// The messages of gRPC reflection, as tables. Few hosts ask, so lib/messages.js loads them late.
"use strict";

const { Message } = require("./wire");

// grpc/reflection/v1alpha/reflection.proto, and v1, which is the same but for its package
const ExtensionRequest = new Message({
  containingType: [1, "string"],
  extensionNumber: [2, "int32"],
});
const ServerReflectionRequest = new Message({
  host: [1, "string"],
  fileByFilename: [3, "string", "oneof"],
  fileContainingSymbol: [4, "string", "oneof"],
  fileContainingExtension: [5, ExtensionRequest, "oneof"],
  allExtensionNumbersOfType: [6, "string", "oneof"],
  listServices: [7, "string", "oneof"],
});
const FileDescriptorResponse = new Message({ fileDescriptorProto: [1, "bytes", "repeated"] });
const ExtensionNumberResponse = new Message({
  baseTypeName: [1, "string"],
  extensionNumber: [2, "int32", "repeated"],
});
const ServiceResponse = new Message({ name: [1, "string"] });
const ListServiceResponse = new Message({ service: [1, ServiceResponse, "repeated"] });
const ErrorResponse = new Message({ errorCode: [1, "int32"], errorMessage: [2, "string"] });
const ServerReflectionResponse = new Message({
  validHost: [1, "string"],
  originalRequest: [2, ServerReflectionRequest],
  fileDescriptorResponse: [4, FileDescriptorResponse, "oneof"],
  allExtensionNumbersResponse: [5, ExtensionNumberResponse, "oneof"],
  listServicesResponse: [6, ListServiceResponse, "oneof"],
  errorResponse: [7, ErrorResponse, "oneof"],
});

module.exports = {
  ErrorResponse,
  ExtensionNumberResponse,
  ExtensionRequest,
  FileDescriptorResponse,
  ListServiceResponse,
  ServerReflectionRequest,
  ServerReflectionResponse,
  ServiceResponse,
};
