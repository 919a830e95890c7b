// The Worker of the self-test: a message is delivered, and one that always fails ends in the dead-letter queue.
//
// POST with a table's name and a word sends two messages; what the consumers saw stands in that table.
export default {
  async fetch(request, { QUEUE }) {
    if (request.method !== 'POST') return new Response(null, { status: 405 });
    const { table, word } = await request.json();
    await QUEUE.sendBatch([{ body: { table, word, fails: false } }, { body: { table, word, fails: true } }]);
    return Response.json({ sent: 2 });
  },
  async queue(batch, { DB }) {
    for (const message of batch.messages) {
      const { table, word, fails } = message.body;
      const name = String(table).replaceAll('"', '""');
      await DB.prepare(`INSERT INTO "${name}" VALUES (?, ?, ?)`).bind(batch.queue, word, message.attempts).run();
      if (fails && batch.queue === 'towpath-selftest') message.retry();
      else message.ack();
    }
  },
};
