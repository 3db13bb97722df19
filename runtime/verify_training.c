// SPDX-License-Identifier: Apache-2.0
// The proof through training mode. The truth is the network whose every BatchNormalization normalizes by the
// batch itself, in double precision. Its statistics become constants, and these are folded. So mean,
// variance, gamma, beta and epsilon of every layer are checked through an operator that shares no code with
// the fold, and with numbers that are not those of the file.
//
// That the algebra is right shows in double precision, where nothing hides behind rounding: promoted,
// folded and evaluated, the network must give the truth to 1e-9 of its magnitude. What rounding adds is a
// property of the network with these constants, folded or not, and not of training mode, which takes the
// errors of earlier layers out again when it normalizes by what it sees. So the yardstick of the folded
// network in its own precision is the unfolded one with the same constants.
#include "runtime/proof.h"
#include "runtime/train.h"

static enum bnr_status list_trained(struct bnr_proof *p, const struct bnr_trainer *t) {
    struct bnr_verify_bn *bns = bnr__proof_bns(p, t->n_bns);
    if (!bns)
        return bnr__no_memory(p->err);
    for (size_t k = 0; k < t->n_bns; k++) {
        bns[k].checked = !t->bns[k].skipped;
        p->report->n_checked += !t->bns[k].skipped;
        BNR_TRY(bnr__proof_copy(p, &bns[k].name, t->bns[k].name));
        if (t->bns[k].skipped)
            BNR_TRY(bnr__proof_copy(p, &bns[k].reason, t->bns[k].skipped));
    }
    // Nothing proved is no proof.
    p->report->passed &= t->n_bns == 0 || p->report->n_checked > 0;
    return BNR_OK;
}

// Until the layers that can train all do: leaving one out changes what later ones see.
static enum bnr_status run_truth(struct bnr_proof *p, struct bnr_trainer *t) {
    bool again = true;
    for (size_t round = 0; again && round <= t->n_bns; round++) {
        BNR_TRY(bnr__proof_run(p, BNR_TRUTH, t->model));
        BNR_TRY(bnr__trainer_read(t, p->ways[BNR_TRUTH].outs, &again, p->err));
    }
    return BNR_OK;
}

static enum bnr_status prove(struct bnr_proof *p, struct bnr_trainer *t) {
    static const enum bnr_way_of_running constants[] = {BNR_FOLDED, BNR_UNFOLDED, BNR_ALGEBRA};
    struct bnr_model *model;
    BNR_TRY(run_truth(p, t));
    BNR_TRY(bnr__trainer_apply(&model, t, BNR_DOUBLE, p->err));
    enum bnr_status st = BNR_OK;
    for (size_t i = 0; st == BNR_OK && i < BNR_COUNT(constants); i++)
        st = bnr__proof_run(p, constants[i], model);
    if (st == BNR_OK)
        st = bnr__proof_compare_all(p);
    bnr__model_free(model);
    return st == BNR_OK ? list_trained(p, t) : st;
}

enum bnr_status bnr__prove_training(struct bnr_proof *p) {
    struct bnr_trainer *t;
    const bool freeze = p->ways[BNR_FOLDED].options.flags & BNR_FREEZE_INITIALIZERS;
    BNR_TRY(bnr__trainer_new(&t, p->model, freeze, p->err));
    t->once = true;
    const enum bnr_status st = prove(p, t);
    bnr__trainer_free(t);
    return st;
}
