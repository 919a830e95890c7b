// A fake: the new side as it would be if it failed, between the gateway and the new Worker.  Only the local runtime knows
// it, and only when a rehearsal asks for it; nothing that is deployed names it.
//
// It passes everything on.  While the key `stumble` of the gateway's namespace says so, from a percentage of the ramp on,
// it answers a share of the requests with 500 instead: every second one of these before the Worker was asked, the others
// after it has done what was wanted, because a client cannot tell the two apart.
const READ = 500; // milliseconds between two readings

let told = { share: 0, from: 0, percent: 0 };
let read = 0;
let met = 0;
let fallen = 0;

async function wanted(environment, now) {
  if (now - read > READ) {
    read = now;
    const [stumble, setting] = await Promise.all(['stumble', 'traffic'].map((key) => environment.TRAFFIC.get(key, 'json')));
    const percent = setting?.mode === 'worker' ? 100 : setting?.mode === 'split' ? setting.percent : 0;
    told = { share: stumble?.share ?? 0, from: stumble?.from ?? 0, percent };
  }
  return told.percent > 0 && told.percent >= told.from ? told.share : 0;
}

export default {
  async fetch(request, environment) {
    const share = await wanted(environment, Date.now());
    met += 1;
    // Spread evenly rather than drawn: a share of 5 % is one request in twenty, in every rehearsal.
    const falls = Math.floor(met * share) > Math.floor((met - 1) * share);
    if (!falls) return environment.APP.fetch(request);
    fallen += 1;
    if (fallen % 2 === 0) {
      const answer = await environment.APP.fetch(request);
      await answer.body?.cancel();
    }
    return Response.json({ detail: 'the new side stumbles: this rehearsal asked for it' }, { status: 500 });
  },
};
