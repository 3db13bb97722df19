/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled, not run, as C99 and as C++: the public header needs nothing else and fits both languages. */
#include "runtime/bnrun.h"

int header_alone(void);

static enum bnr_status first_run(const char *path, float *pixels) {
    struct bnr_error err;
    struct bnr_options options;
    bnr_model *model;
    bnr_session *session = NULL;
    bnr_tensor *x = NULL, *y = NULL;
    const int64_t dims[4] = {1, 3, 2, 2};
    enum bnr_status status = bnr_model_load_file(&model, path, NULL, &err);
    if (status != BNR_OK)
        return status;
    bnr_options_init(&options);
    options.flags = BNR_NO_FOLD | BNR_FREEZE_INITIALIZERS;
    status = bnr_session_create(&session, model, &options, &err);
    if (status == BNR_OK)
        status = bnr_tensor_wrap(&x, BNR_FLOAT, 4, dims, pixels, 12 * sizeof *pixels, &err);
    if (status == BNR_OK) {
        const bnr_tensor *inputs[1];
        inputs[0] = x;
        status = bnr_run(session, inputs, 1, &y, 1, &err);
    }
    bnr_tensor_release(x);
    bnr_tensor_release(y);
    bnr_session_free(session);
    bnr_model_free(model);
    return status;
}

int header_alone(void) {
    float pixels[12] = {0};
    return (int)first_run("model.onnx", pixels);
}
