// GET /generate/:type, as the seed has it: what is cached is answered as it is, else a quiz is made and cached.
import { Refused } from './answers';
import type { Environment } from './environment';

const TYPES = ['big5', 'daily', 'quick', 'mood'];
const SECONDS = 3600;

export async function generate(environment: Environment, type: string): Promise<Response> {
  if (!TYPES.includes(type)) throw new Refused(400, `not a type of quiz; there are ${TYPES.join(', ')}`);
  const key = `quiz:${type}`;
  const cached = await environment.CACHE.get(key, 'text');
  if (cached !== null) return quiz(cached, 'cache');
  const made = JSON.stringify(stub(type));
  await environment.CACHE.put(key, made, { expirationTtl: SECONDS });
  return quiz(made, 'stub');
}

/** A stub: it stands for the AI that wrote the quizzes, and says so in its answer. */
function stub(type: string): unknown {
  const questions = ['I like to meet new people', 'I plan my day', 'I stay calm when plans change'];
  return {
    type,
    generator: 'stub',
    questions: questions.map((text, at) => ({ id: `${type}-${at + 1}`, text, answers: [1, 2, 3, 4, 5] })),
  };
}

function quiz(text: string, source: 'cache' | 'stub'): Response {
  return new Response(text, { headers: { 'content-type': 'application/json', 'x-quiz-source': source } });
}
