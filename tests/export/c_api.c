/* Loads a SavedModel by TensorFlow's C API, runs serving_default on a raw float32 file,
   and writes the features as a raw float32 file.
   c_api MODEL INPUT_OP INPUT_INDEX OUTPUT_OP OUTPUT_INDEX N HEIGHT WIDTH CHANNELS IN OUT */
#include <stdio.h>
#include <stdlib.h>
#include "tensorflow/c/c_api.h"

static void check(TF_Status* status, const char* what) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "%s: %s\n", what, TF_Message(status));
    exit(1);
  }
}

int main(int argc, char** argv) {
  if (argc != 12) return 2;
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1,
                                                     graph, NULL, status);
  check(status, "load");

  int64_t shape[4];
  size_t bytes = sizeof(float);
  for (int i = 0; i < 4; ++i) {
    shape[i] = atoll(argv[6 + i]);
    bytes *= shape[i];
  }
  TF_Tensor* images = TF_AllocateTensor(TF_FLOAT, shape, 4, bytes);
  FILE* file = fopen(argv[10], "rb");
  if (!file || fread(TF_TensorData(images), 1, bytes, file) != bytes) return 3;
  fclose(file);

  TF_Output input = {TF_GraphOperationByName(graph, argv[2]), atoi(argv[3])};
  TF_Output output = {TF_GraphOperationByName(graph, argv[4]), atoi(argv[5])};
  if (!input.oper || !output.oper) return 4;
  TF_Tensor* features = NULL;
  TF_SessionRun(session, NULL, &input, &images, 1, &output, &features, 1, NULL, 0, NULL,
                status);
  check(status, "run");
  file = fopen(argv[11], "wb");
  fwrite(TF_TensorData(features), 1, TF_TensorByteSize(features), file);
  fclose(file);
  return 0;
}
