// GET /generate/:type, as the seed has it: what is cached is answered as it is, else a quiz is made and cached.
import { Refused } from './answers';
import type { Environment } from './environment';
import { refusesWrites } from './fence';

export const TYPES = ['big5', 'daily', 'quick', 'mood'];
const SECONDS = 3600;
const COUNT = 'INSERT INTO quiz_analytics (quiz_type, created_date) VALUES (?, ?)';

export async function generate(environment: Environment, type: string): Promise<Response> {
  if (!TYPES.includes(type)) throw new Refused(400, `not a type of quiz; there are ${TYPES.join(', ')}`);
  const key = `quiz:${type}`;
  const cached = await environment.CACHE.get(key, 'arrayBuffer');
  if (cached !== null) return quiz(cached, 'cache');
  const made = stub(type);
  try {
    await environment.DB.prepare(COUNT).bind(type, new Date().toISOString().slice(0, 10)).run();
    await environment.CACHE.put(key, made, { expirationTtl: SECONDS });
  } catch (error) {
    if (!refusesWrites(error)) throw error; // who only reads gets a quiz all the same
  }
  return quiz(made, 'stub');
}

/** A stub: it stands for the AI that wrote the quizzes, and says so in its answer.  Spaced as Python writes JSON. */
function stub(type: string): string {
  const texts = ['I like to meet new people', 'I plan my day', 'I stay calm when plans change'];
  const questions = texts.map((text, at) => `{"id": "${type}-${at + 1}", "text": "${text}", "answers": [1, 2, 3, 4, 5]}`);
  return `{"type": "${type}", "generator": "stub", "questions": [${questions.join(', ')}]}`;
}

function quiz(body: string | ArrayBuffer, source: 'cache' | 'stub'): Response {
  return new Response(body, { headers: { 'content-type': 'application/json', 'x-quiz-source': source } });
}
